import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { GenerateResult } from "../generate-result.js";
import { DEMO_MODEL } from "../model-argument.js";
import { LLAMA, MODELS, runMain } from "../testing/run-main.js";

interface Case {
  readonly name: string;
  readonly prompt_ids: readonly number[];
  readonly greedy_ids: readonly number[];
  readonly logits_last: readonly number[];
}

function casesOf(folder: string): readonly Case[] {
  return (JSON.parse(readFileSync(`${folder}/expected.json`, "utf8")) as { cases: Case[] }).cases;
}

async function generate(...args: string[]): Promise<GenerateResult> {
  const { code, stdout, stderr } = await runMain("generate", ...args, "--json");
  expect(stderr).toBe("");
  expect(code).toBe(0);
  expect(stdout.endsWith("}\n") && !stdout.slice(0, -1).includes("\n")).toBe(true);
  return JSON.parse(stdout) as GenerateResult;
}

/** Largest difference, relative to the largest logit. */
function difference(actual: readonly number[], expected: readonly number[]): number {
  expect(actual).toHaveLength(expected.length);
  return Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!))) / Math.max(...expected.map(Math.abs));
}

describe.each(["llama", "llama3_rope", "llama_yarn"])("weir generate on %s", (name) => {
  const folder = `${MODELS}/${name}`;
  it.each(["cpu", "reference"])("is greedy and exact on the %s backend", async (backend) => {
    for (const { prompt_ids, greedy_ids, logits_last } of casesOf(folder)) {
      const limits = ["--max-tokens", String(greedy_ids.length), "--ignore-eos", "--full-logits"];
      const result = await generate(folder, "--prompt-ids", prompt_ids.join(","), "--backend", backend, ...limits);
      expect(result.tokens).toEqual(greedy_ids);
      expect(result.prompt_ids).toEqual(prompt_ids);
      expect(difference(result.first_logits!, logits_last)).toBeLessThan(3e-4);
    }
  });
});

describe("weir generate --json", () => {
  it("prints the names that scripts rely on", async () => {
    const result = await generate(LLAMA, "--prompt-ids", "78,4", "--max-tokens", "3", "--ignore-eos");
    expect(Object.keys(result)).toEqual(["prompt_ids", "tokens", "text", "logprobs", "finish_reason", "usage", "timings"]);
    expect(result).toMatchObject({
      prompt_ids: [78, 4],
      text: "",
      finish_reason: "length",
      usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 },
    });
    expect(result.logprobs).toHaveLength(3);
    for (const value of Object.values(result.timings)) expect(value).toBeGreaterThan(0);
  });

  it("gives logprobs that are the log softmax of the logits, and the N best beside them", async () => {
    const args = ["--prompt-ids", "78", "--max-tokens", "2", "--ignore-eos", "--logprobs", "3", "--full-logits"];
    const { first_logits: logits = [], logprobs, tokens, top_logprobs: top = [] } = await generate(LLAMA, ...args);
    const most = Math.max(...logits);
    const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - most), 0)) + most;
    expect(logprobs[0]).toBeCloseTo(logits[tokens[0]!]! - total, 5);
    expect(top.map((best) => best.length)).toEqual([3, 3]);
    expect(top[0]![0]).toEqual({ id: tokens[0], logprob: logprobs[0] });
    expect(top[0]![2]!.logprob).toBeCloseTo([...logits].toSorted((a, b) => b - a)[2]! - total, 5);
  });

  it("uses the demo model, its tokenizer and its text when no model is named", async () => {
    const [first] = casesOf(DEMO_MODEL);
    const { prompt_ids, tokens, text, finish_reason } = await generate("-p", "ROMEO:\n", "--max-tokens", "40", "--ignore-eos");
    expect(prompt_ids).toEqual(first!.prompt_ids);
    expect(tokens).toEqual(first!.greedy_ids);
    expect(text).toMatch(/^I will be, I will not be a word\.\n\nLADY CAPULET:/);
    expect(finish_reason).toBe("length");
  });

  it("samples the same tokens from the same seed, and others from another", async () => {
    const sample = (seed: string): Promise<GenerateResult> =>
      generate(LLAMA, "--prompt-ids", "78", "--max-tokens", "12", "--ignore-eos", "--temperature", "1.5", "--seed", seed);
    const [one, again, two] = [await sample("1"), await sample("1"), await sample("2")];
    expect(again.tokens).toEqual(one.tokens);
    expect(two.tokens).not.toEqual(one.tokens);
  });

  it("ends before a stop string and says so", async () => {
    const { text, finish_reason } = await generate("-p", "ROMEO:\n", "--max-tokens", "40", "--stop", "LADY", "--stop", "nowhere");
    expect(text).toBe("I will be, I will not be a word.\n\n");
    expect(finish_reason).toBe("stop-string");
  });

  it("ends at the model's end token unless told to go on", async () => {
    const prompt = ["-p", "\n\nExeunt", "--max-tokens", "200", "--temperature", "1", "--seed", "4"];
    const [ends, goesOn] = [await generate(...prompt), await generate(...prompt, "--ignore-eos")];
    expect(goesOn).toMatchObject({ finish_reason: "length", usage: { completion_tokens: 200 } });
    expect(ends.finish_reason).toBe("stop");
    expect(goesOn.tokens.slice(0, ends.tokens.length)).toEqual(ends.tokens);
  });
});

describe("weir generate --quantize", () => {
  const ids = ["--prompt-ids", "78,12,301,7,45", "--max-tokens", "8", "--ignore-eos", "--full-logits"];

  it.each(["int8", "int4-g32"])("with --activations f32 computes %s as the reference backend does", async (scheme) => {
    const exact = await generate(LLAMA, ...ids, "--quantize", scheme, "--activations", "f32");
    const reference = await generate(LLAMA, ...ids, "--quantize", scheme, "--backend", "reference");
    const stored = await generate(LLAMA, ...ids);
    expect(difference(exact.first_logits!, reference.first_logits!)).toBeLessThan(3e-4);
    expect(difference(exact.first_logits!, stored.first_logits!)).toBeGreaterThan(1e-3);
  });

  it.each(["int8", "int4-g32"])("with --activations auto stays near, in %s", async (scheme) => {
    const fast = await generate(LLAMA, ...ids, "--quantize", scheme);
    const exact = await generate(LLAMA, ...ids, "--quantize", scheme, "--activations", "f32");
    expect(difference(fast.first_logits!, exact.first_logits!)).toBeLessThan(0.08);
  });
});

describe("weir generate without --json", () => {
  it("prints the text alone", async () => {
    const { code, stdout, stderr } = await runMain("generate", "-p", "ROMEO:\n", "--max-tokens", "6");
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "I will be, I will\n", stderr: "" });
  });
});

import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { DEMO_MODEL } from "../model-argument.js";
import { runMain } from "../testing/run-main.js";

describe("weir run", () => {
  it("streams the prompt and its continuation to stdout, what was chosen and timings to stderr", async () => {
    const { code, stdout, stderr } = await runMain("run", "-p", "JULIET:\n", "--max-tokens", "12", "--seed", "5", "--ignore-eos");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^JULIET:\n[^]+\n$/);
    expect(stderr).toMatch(/^tiny-shakespeare on cpu: weights int8, KV f32, context 1024, room for \d+ tokens\n/);
    expect(stderr).toMatch(
      /\d+ prompt tokens at [\d.]+ tok\/s; 12 new tokens at [\d.]+ tok\/s; first token after [\d.]+ ms; [\d.]+ s in all; ended by length\n$/,
    );
  });

  it("needs no argument, and the same seed gives the same text", async () => {
    const [one, again, other] = [
      await runMain("run", "--max-tokens", "16", "--seed", "1"),
      await runMain("run", "--max-tokens", "16", "--seed", "1"),
      await runMain("run", "--max-tokens", "16", "--seed", "2"),
    ];
    expect(one.stdout).toMatch(/^ROMEO:\n/);
    expect(again.stdout).toBe(one.stdout);
    expect(other.stdout).not.toBe(one.stdout);
  });

  it("asks by default for no more than fits after the prompt", async () => {
    const { code, stderr } = await runMain("run", "-p", "ROMEO:", "--max-model-len", "30", "--ignore-eos");
    expect(code).toBe(0);
    expect(stderr).toMatch(/28 new tokens at .*ended by length/);
  });

  it("follows the model's generation_config.json, and flags before it", async () => {
    const folder = await mkdtemp(join(tmpdir(), "weir-run-"));
    try {
      await cp(DEMO_MODEL, folder, { recursive: true });
      await writeFile(
        join(folder, "generation_config.json"),
        JSON.stringify({ max_new_tokens: 7, do_sample: true, temperature: 0, eos_token_id: 0 }),
      );
      const greedy = await runMain("run", folder, "-p", "ROMEO:\n");
      expect(greedy.stdout).toBe("ROMEO:\nI will be, I will not\n");
      const longer = await runMain("run", folder, "-p", "ROMEO:\n", "--max-tokens", "9");
      expect(longer.stdout).toBe("ROMEO:\nI will be, I will not be a\n");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("weir run --isolate", () => {
  it("prints the same text from a process of its own", async () => {
    const here = await runMain("run", "--max-tokens", "16", "--seed", "1");
    const there = await runMain("run", "--max-tokens", "16", "--seed", "1", "--isolate");
    expect(there.stdout).toBe(here.stdout);
    expect(there.code).toBe(0);
    expect(there.stderr.split("\n")[0]).toBe(here.stderr.split("\n")[0]);
  });

  it("refuses what is refused without it, with the same line", async () => {
    for (const bad of [
      ["--backend", "tpu"],
      ["--max-num-seqs", "5000"],
      ["--temperature", "-1"],
    ]) {
      const here = await runMain("run", ...bad);
      expect(await runMain("run", "--isolate", ...bad)).toEqual(here);
      expect(here.code).toBe(2);
    }
  });
});

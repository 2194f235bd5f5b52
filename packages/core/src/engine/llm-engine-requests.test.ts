/** Requests that are wrong, fail alone: their own stream errors, the others and the engine go on. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GenerateOptions } from "../contracts/index.js";
import { PagedBlockManager } from "../kv/index.js";
import { nullBackend } from "../testing/null-backend.js";
import type { LLMEngine } from "./llm-engine.js";
import { CANARY, collect, EngineRig, soloTokens, tokenIds, type TestEngineOptions } from "./test-engine.js";

const rig = new EngineRig();
const engineFor = (options?: TestEngineOptions): Promise<LLMEngine> => rig.engine(options);
/** A greedy stream beside the fault: it must not notice. */
const canary = async (engine: LLMEngine, count = 40): Promise<void> => {
  expect(tokenIds(await collect(engine.generate(CANARY, { maxTokens: count })))).toEqual(soloTokens(CANARY, count));
};

beforeEach(() => rig.watch());
afterEach(async () => expect(await rig.finish()).toEqual([]));

describe("bad requests", () => {
  it.each<[string, unknown, GenerateOptions, string]>([
    ["no tokens", [], {}, "invalid_request"],
    ["a token outside the vocabulary", [1, 99_999], {}, "invalid_request"],
    ["a negative token", [-1], {}, "invalid_request"],
    ["a fraction", [1.5], {}, "invalid_request"],
    ["an object for a prompt", {}, {}, "invalid_request"],
    ["null for a prompt", null, {}, "invalid_request"],
    ["a negative temperature", [1], { temperature: -1 }, "invalid_request"],
    ["an unknown option", [1], { temprature: 1 } as GenerateOptions, "invalid_request"],
    ["null options", [1], null as unknown as GenerateOptions, "invalid_request"],
    ["a prompt of the context's length", Array.from({ length: 1024 }, () => 1), {}, "context_length"],
    ["a longer prompt", Array.from({ length: 5000 }, () => 1), {}, "context_length"],
    ["maxTokens beyond the context", [1], { maxTokens: 1024 }, "context_length"],
    ["messages without a template", [{ role: "user", content: "ab" }], {}, "not_supported"],
    ["an empty text", "", {}, "invalid_request"],
  ])("%s errors that stream alone", async (_name, prompt, options, code) => {
    const engine = await engineFor();
    const other = canary(engine);
    await expect(engine.generate(prompt as number[], options).text()).rejects.toMatchObject({ code });
    await other;
    expect(engine.stats().requests).toMatchObject({ refused: 1, finished: 1 });
  });

  it("generates the one token that fits after a prompt of context - 1", async () => {
    const engine = await engineFor();
    const prompt = Array.from({ length: 1023 }, () => 1);
    const events = await collect(engine.generate(prompt));
    expect(tokenIds(events)).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ finishReason: "length" });
  });

  it("a request that can never fit gets OutOfBlocksError up front", async () => {
    const engine = await engineFor({ blockManager: ({ limits }) => new PagedBlockManager({ numBlocks: 8, blockSize: limits.blockSize }) });
    const other = canary(engine, 10);
    await expect(engine.generate([1], { maxTokens: 500 }).text()).rejects.toMatchObject({ code: "out_of_blocks" });
    await other;
  });

  it("a second request with a running request's id is refused, the first goes on", async () => {
    const engine = await engineFor();
    const first = collect(engine.generate([1], { requestId: "same", maxTokens: 20 }));
    await expect(engine.generate([1], { requestId: "same" }).text()).rejects.toThrow(/same/);
    expect(tokenIds(await first)).toEqual(soloTokens([1], 20));
    expect(tokenIds(await collect(engine.generate([2], { requestId: "same", maxTokens: 2 })))).toEqual(soloTokens([2], 2));
  });

  it("NaN logits fail their request alone, and are counted", async () => {
    const bad = soloTokens([1, 2, 3], 4).at(-1)!;
    const engine = await engineFor({ backend: nullBackend({ nonfiniteAfter: bad }) });
    const other = canary(engine);
    const got: number[] = [];
    await expect(
      (async () => {
        for await (const event of engine.generate([1, 2, 3], { maxTokens: 20 })) if (event.type === "token") got.push(event.id);
      })(),
    ).rejects.toMatchObject({ code: "nonfinite_logits" });
    expect(got).toEqual(soloTokens([1, 2, 3], 4));
    await other;
    expect(engine.stats().nonfiniteRows).toBe(1);
  });

  it("a logits processor that throws fails its request with what it threw", async () => {
    const engine = await engineFor();
    const other = canary(engine);
    const thrown = new Error("mine");
    const processor = {
      name: "bad",
      process: () => {
        throw thrown;
      },
    };
    await expect(engine.generate([1], { logitsProcessors: [processor] }).text()).rejects.toBe(thrown);
    await other;
  });

  it("a sampler that throws or chooses no token fails that request alone", async () => {
    const engine = await engineFor({
      sampler: {
        name: "odd",
        sample: (_logits, params, row, out) => {
          if (params.topK[row] === 7) throw "a string";
          out.tokenIds[row] = params.topK[row] === 8 ? 100_000 : 5;
        },
      },
    });
    const good = collect(engine.generate([1], { maxTokens: 4 }));
    await expect(engine.generate([1], { topK: 7 }).text()).rejects.toMatchObject({ code: "internal", cause: "a string" });
    await expect(engine.generate([1], { topK: 8 }).text()).rejects.toThrow(/odd chose token 100000/);
    expect(tokenIds(await good)).toEqual([5, 5, 5, 5]);
  });
});

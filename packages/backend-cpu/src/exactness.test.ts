/** f32 weights and KV against Hugging Face's logits and greedy tokens, through the engine. */
import { describe, expect, it } from "vitest";
import { typescriptAttention } from "./cpu-backend.js";
import { tokenEvents, withEngine, type CpuEngineOptions } from "./testing-support/cpu-test-engine.js";
import { DEMO_MODEL, expectedCases, FIXTURE_MODELS, fixtureFolder } from "./testing-support/test-models.js";

/** Of the largest logit. */
const TOLERANCE = 3e-4;
/** A step of 5 tokens cuts every prompt but the shortest into chunks. */
const TINY_STEPS = { maxNumSeqs: 4, maxNumBatchedTokens: 5 } as const;

const models: readonly (readonly [string, string])[] = [
  ...FIXTURE_MODELS.map((name) => [name, fixtureFolder(name)] as const),
  ["tiny-shakespeare", DEMO_MODEL],
];

describe.each(models)("%s in f32", (_, model) => {
  it("gives the reference's logits and greedy tokens with default settings", () => expectReference({ model, quantize: "f32" }));

  it("gives them with prompts in chunks of 5", () => expectReference({ model, quantize: "f32", ...TINY_STEPS }));

  it("gives them with the attention kernel in plain TypeScript, prompts in chunks of 5", () =>
    expectReference({ model, quantize: "f32", attentionKernel: typescriptAttention, maxModelLen: 128, ...TINY_STEPS }));
});

describe.each([16, 32, 64, 128])("blocks of %i tokens", (blockSize) => {
  it.each(["llama_yarn", "tiny-shakespeare"])("give the reference's logits and greedy tokens of %s, prompts in chunks of 5", (name) =>
    expectReference({ model: new Map(models).get(name)!, quantize: "f32", blockSize, ...TINY_STEPS }),
  );
});

/** All cases at once: they share steps. */
function expectReference(options: CpuEngineOptions): Promise<void> {
  return withEngine(options, async (engine) => {
    const cases = expectedCases(String(options.model));
    const results = await Promise.all(
      cases.map(({ prompt_ids, greedy_ids }) => tokenEvents(engine, prompt_ids, { maxTokens: greedy_ids!.length, fullLogits: true })),
    );
    cases.forEach(({ prompt_ids, greedy_ids, logits_last }, i) => {
      const what = `prompt of ${prompt_ids.length}`;
      expect(relativeError(results[i]![0]!.logits!, logits_last!), what).toBeLessThan(TOLERANCE);
      expect(
        results[i]!.map(({ id }) => id),
        what,
      ).toEqual(greedy_ids);
    });
  });
}

/** NaN where any difference is NaN, which is not less than anything. */
function relativeError(actual: ArrayLike<number>, expected: readonly number[]): number {
  expect(actual.length).toBe(expected.length);
  const largest = Math.max(...expected.map(Math.abs));
  return expected.reduce((worst, logit, i) => {
    const error = Math.abs(actual[i]! - logit) / largest;
    return error <= worst ? worst : error;
  }, 0);
}

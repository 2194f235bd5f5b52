/** The graph against Hugging Face's logits and greedy tokens, on the stand-in, through the engine. */
import { NO_ADAPTER } from "./testing-support/software-adapter.js";
import { createEngine } from "@weir/core";
import { referenceBackend } from "@weir/core/testing";
import { describe, expect, it } from "vitest";
import { testBackend } from "./testing-support/stand-in.js";
import { best, forcedLogits, relativeError } from "./testing-support/teacher-forcing.js";
import { expectedCases, fixtureFolder } from "./testing-support/test-models.js";

/** Of the largest logit. */
const TOLERANCE = 2e-2;
/** Two candidates closer than this may change places in 16-bit arithmetic. */
const NEAR_TIE = 0.02;

describe.each(["llama", "llama3_rope"])("%s in f16", (name) => {
  const title = "gives Hugging Face's logits within 2e-2, and its greedy tokens but for near-ties";
  if (NO_ADAPTER !== undefined) return it.skip(`${title} (${NO_ADAPTER})`, () => {});
  it(title, async () => {
    const model = fixtureFolder(name);
    const limits = { model, maxModelLen: 128, maxNumSeqs: 4 };
    await using engine = await createEngine({ ...limits, backend: () => testBackend(), numBlocks: 32 });
    await using exact = await createEngine({ ...limits, backend: () => referenceBackend(), numBlocks: 32 });
    for (const { prompt_ids, greedy_ids, logits_last } of expectedCases(name)) {
      const [ours, wanted] = await Promise.all([engine, exact].map((each) => forcedLogits(each, prompt_ids, greedy_ids)));
      const what = `prompt of ${prompt_ids.length}`;
      expect(relativeError(ours![0]!, logits_last), what).toBeLessThan(TOLERANCE);
      greedy_ids.forEach((id, i) => {
        const gap = wanted![i]![id]! - wanted![i]![best(ours![i]!)]!;
        expect(gap, `${what}, token ${i}`).toBeLessThanOrEqual(NEAR_TIE);
      });
    }
  });
});

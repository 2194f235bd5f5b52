/** The whole sweep of strict mode: every weight scheme, both KV dtypes, every batch size to 33, many chunk sizes. */
import { describe, expect, it } from "vitest";
import { differingBatches, differingChunks, preemptedRun, SCHEMES, upTo } from "./testing-support/batch-sweep.js";

const CHUNKS = [1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 44];

describe.each(SCHEMES)("%s weights", (quantize) => {
  describe.each(["f32", "int8"] as const)("%s KV", (kvDtype) => {
    it("gives the same bits in batches of 1 to 33", async () => {
      expect(await differingBatches({ quantize, kvDtype }, upTo(33))).toEqual([]);
    });

    it("gives the same bits for any chunks of the prompt", async () => {
      expect(await differingChunks({ quantize, kvDtype }, CHUNKS)).toEqual([]);
    });

    it("gives the same bits after preemption storms", async () => {
      const { preemptions, differing } = await preemptedRun({ quantize, kvDtype }, 24, 16);
      expect(preemptions).toBeGreaterThan(5);
      expect(differing).toEqual([]);
    });

    it("reports where bits differ without strict mode", async () => {
      const differing = await differingBatches({ quantize, kvDtype, strict: false }, upTo(33));
      console.log(`${quantize} weights, ${kvDtype} KV, not strict: bits differ in batches of ${differing.join(", ") || "no size"}`);
      if (quantize === "int4-g128") expect(differing).not.toEqual([]);
    });
  });
});

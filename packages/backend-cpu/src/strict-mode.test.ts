/** Strict mode: the same bits alone, in any batch, in any chunks, after preemption; and that the sweep can tell. */
import { describe, expect, it } from "vitest";
import { differingBatches, differingChunks, preemptedRun, SCHEMES } from "./testing-support/batch-sweep.js";

describe.each(SCHEMES)("strict mode with %s weights", (quantize) => {
  it("gives a request the same tokens and logprobs alone and in batches of 1 to 33", async () => {
    expect(await differingBatches({ quantize }, [1, 2, 3, 8, 17, 33])).toEqual([]);
  });

  it("gives them after preemption", async () => {
    const { preemptions, differing } = await preemptedRun({ quantize }, 6, 12);
    expect(preemptions).toBeGreaterThan(0);
    expect(differing).toEqual([]);
  });
});

describe("strict mode", () => {
  it("gives the same tokens and logprobs whatever the chunks of a prompt", async () => {
    expect(await differingChunks({ quantize: "int4-g128" }, [1, 7])).toEqual([]);
  });

  it("holds with int8 KV", async () => {
    expect(await differingBatches({ quantize: "int8", kvDtype: "int8" }, [1, 2, 5, 33])).toEqual([]);
    expect(await differingChunks({ quantize: "int8", kvDtype: "int8" }, [7])).toEqual([]);
  });

  it("is what makes the difference: without it some batch changes the bits of int4-g128", async () => {
    expect(await differingBatches({ quantize: "int4-g128", strict: false }, [1, 2, 3, 8, 17, 33])).not.toEqual([]);
  });
});

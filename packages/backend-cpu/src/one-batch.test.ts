import { describe, expect, it } from "vitest";
import { checkOneBatch } from "./testing-support/one-batch.js";

describe("24 streams in one batch", () => {
  it.each(["f32", "int8"] as const)("give their solo tokens whatever arrives and leaves beside them, with %s KV", async (kvDtype) => {
    const figures = await checkOneBatch({ quantize: "int8", kvDtype, seed: 11, count: 24, maxLength: 160, arrivals: 60 });
    expect(figures.finished).toBeGreaterThan(10);
    expect(figures.cancelled).toBeGreaterThan(0);
    expect(figures.contiguousOverPaged).toBeGreaterThan(1);
  });
});

import { describe, expect, it } from "vitest";
import { quantizationError } from "./quantization-error.js";

describe("quantizationError", () => {
  it("is the norm of the difference over the norm of the original, in decibels too", () => {
    const { relativeError, snrDb, maxAbsError } = quantizationError(Float32Array.of(3, 4), Float32Array.of(3, 4.5));
    expect(relativeError).toBeCloseTo(0.1, 12);
    expect(snrDb).toBeCloseTo(20, 10);
    expect(maxAbsError).toBe(0.5);
  });

  it("of nothing lost is 0 and infinitely many decibels, also for zeros", () => {
    const zeros = new Float32Array(3);
    expect(quantizationError(zeros, zeros)).toEqual({ relativeError: 0, snrDb: Infinity, maxAbsError: 0 });
  });
});

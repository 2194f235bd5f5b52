import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argmax } from "./argmax.js";

describe("argmax", () => {
  it("finds the largest logit, the lowest id among equals, at any length", () => {
    const row = fc.array(fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constant(-Infinity)), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(row, (values) => {
        const max = Math.max(...values);
        expect(argmax(Float32Array.from(values))).toBe(max === -Infinity ? -1 : values.indexOf(max));
      }),
    );
  });

  it.each([NaN, Infinity])("refuses %s wherever it stands", (bad) => {
    for (let length = 1; length < 20; length++) {
      for (let at = 0; at < length; at++) {
        const row = new Float32Array(length).fill(5);
        row[at] = bad;
        expect(argmax(row)).toBe(-1);
      }
    }
  });

  it("refuses an empty row", () => {
    expect(argmax(new Float32Array(0))).toBe(-1);
  });
});

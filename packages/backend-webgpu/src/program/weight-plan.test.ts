import { describe, expect, it } from "vitest";
import { WeightPlan } from "./weight-plan.js";

const q = { weight: "q", inFeatures: 8, outFeatures: 6 };
const k = { weight: "k", inFeatures: 8, outFeatures: 4 };
const v = { weight: "packed", inFeatures: 8, outFeatures: 4, rowOffset: 10, bias: "bias" };

describe("WeightPlan", () => {
  it("stacks linears into one matrix, rows of packed tensors from their offset", () => {
    const plan = new WeightPlan(1 << 20);
    expect(plan.matrix("qkv", [q, k, v])).toEqual([{ buffer: "qkv", firstRow: 0, numRows: 14 }]);
    expect(plan.buffers[0]!.pieces.map(({ tensor, first, count, at }) => [tensor, first, count, at])).toEqual([
      ["q", 0, 48, 0],
      ["k", 0, 32, 48],
      ["packed", 80, 32, 80],
    ]);
    expect(plan.bytes).toBe(14 * 8 * 4);
  });

  it("cuts a matrix larger than a binding into buffers of whole rows, with every element once", () => {
    // Four rows and a bit.
    const plan = new WeightPlan(4 * 8 * 4 + 20);
    const parts = plan.matrix("qkv", [q, k, v]);
    expect(parts.map(({ buffer, firstRow, numRows }) => [buffer, firstRow, numRows])).toEqual([
      ["qkv[0]", 0, 4],
      ["qkv[1]", 4, 4],
      ["qkv[2]", 8, 4],
      ["qkv[3]", 12, 2],
    ]);
    const covered = plan.buffers.flatMap(({ pieces }, part) =>
      pieces.flatMap(({ tensor, first, count, at }) =>
        Array.from({ length: count }, (_, i) => `${tensor} ${first + i} at ${part * 32 + at + i}`),
      ),
    );
    const whole = [q, k, v].flatMap(({ weight, outFeatures }) =>
      Array.from({ length: outFeatures * 8 }, (_, i) => `${weight} ${(weight === v.weight ? v.rowOffset * 8 : 0) + i}`),
    );
    expect(covered).toEqual(whole.map((element, at) => `${element} at ${at}`));
  });

  it("refuses a row that no binding holds", () => {
    expect(() => new WeightPlan(28).matrix("qkv", [q])).toThrow(/one row of q has 32 bytes; this GPU binds at most 28/);
  });

  it("lines biases up with their rows, and makes none where there is none", () => {
    const plan = new WeightPlan(1 << 20);
    expect(plan.biases("none", [q, k])).toBeUndefined();
    expect(plan.biases("some", [q, k, v])).toBe("some");
    expect(plan.buffers).toEqual([{ name: "some", size: 14, pieces: [{ tensor: "bias", first: 10, count: 4, at: 10, plusOne: false }] }]);
  });
});

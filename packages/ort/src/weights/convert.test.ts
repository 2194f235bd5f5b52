import { describe, expect, it } from "vitest";
import { convertToF32, transpose } from "./convert.js";

const bytesOf = (halves: number[]): Uint8Array => new Uint8Array(Uint16Array.from(halves).buffer);

describe("convertToF32", () => {
  it("reads f16: zeros, subnormals, normals, infinities and NaN", () => {
    const halves = [0x0000, 0x8000, 0x0001, 0x03ff, 0x0400, 0x3c00, 0xc000, 0x7bff, 0x7c00, 0xfc00, 0x7e00];
    const out = new Float32Array(halves.length + 1);
    convertToF32("F16", bytesOf(halves), out, 1);
    expect([...out]).toEqual([0, 0, -0, 2 ** -24, (1023 / 1024) * 2 ** -14, 2 ** -14, 1, -2, 65504, Infinity, -Infinity, Number.NaN]);
  });

  it("reads bf16 as the upper half of an f32", () => {
    const out = new Float32Array(4);
    convertToF32("BF16", bytesOf([0x3f80, 0xc0a0, 0x7f80, 0x7fc0]), out, 0);
    expect([...out]).toEqual([1, -5, Infinity, Number.NaN]);
  });

  it("copies f32", () => {
    const out = new Float32Array(3);
    convertToF32("F32", new Uint8Array(Float32Array.of(1.5, -2).buffer), out, 1);
    expect([...out]).toEqual([0, 1.5, -2]);
  });
});

describe("transpose", () => {
  it("swaps rows and columns of any shape", () => {
    for (const [rows, columns] of [
      [1, 5],
      [3, 2],
      [65, 130],
    ] as const) {
      const matrix = Float32Array.from({ length: rows * columns }, (_, i) => i);
      const swapped = transpose(matrix, rows, columns);
      for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) expect(swapped[c * rows + r]).toBe(matrix[r * columns + c]);
    }
  });
});

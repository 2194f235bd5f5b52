import { describe, expect, it } from "vitest";
import { convertToF32 } from "../weights/convert.js";
import { fitsF16, toF16 } from "./float16.js";

describe("toF16", () => {
  it("gives back the bits of every f16", () => {
    const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
    const values = new Float32Array(65536);
    convertToF32("F16", new Uint8Array(all.buffer), values, 0);
    const back = toF16(values);
    // NaN comes in many forms and stays NaN.
    const wrong = [...all].filter((bits) => (Number.isNaN(values[bits]!) ? (back[bits]! & 0x7fff) <= 0x7c00 : back[bits] !== bits));
    expect(wrong).toEqual([]);
  });

  it("rounds to the nearest, ties to even, at every exponent", () => {
    // Each f16 and its successor: a little below, at, and a little above the middle between them.
    const wrong: number[] = [];
    const pair = new Float32Array(2);
    for (let bits = 0; bits < 0x7bff; bits++) {
      convertToF32("F16", new Uint8Array(Uint16Array.of(bits, bits + 1).buffer), pair, 0);
      const [low, high] = pair as unknown as [number, number];
      const middle = (low + high) / 2;
      const sixteenth = (high - low) / 16;
      const rounded = [...toF16(Float32Array.of(middle - sixteenth, middle, middle + sixteenth, -middle))];
      const even = bits % 2 === 0 ? bits : bits + 1;
      if (rounded.join() !== [bits, even, bits + 1, even | 0x8000].join()) wrong.push(bits);
    }
    expect(wrong).toEqual([]);
  });

  it("turns what is too large into infinity and what is too small into zero", () => {
    expect([...toF16(Float32Array.of(65519, 65520, 1e30, -1e30, 2 ** -26, -(2 ** -40)))]).toEqual([
      0x7bff, 0x7c00, 0x7c00, 0xfc00, 0, 0x8000,
    ]);
  });
});

describe("fitsF16", () => {
  it("tells whether a finite value would become infinite", () => {
    expect(fitsF16(Float32Array.of(65519, -1, 0))).toBe(true);
    expect(fitsF16(Float32Array.of(1, -65520))).toBe(false);
    expect(fitsF16(Float32Array.of(Infinity, NaN))).toBe(true);
  });
});

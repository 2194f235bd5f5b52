import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyId } from "./ranked-keys.js";
import { TopKSelector } from "./top-k.js";

describe("TopKSelector", () => {
  const selector = new TopKSelector();

  it("gives what a full sort gives, ties by lower id, also when the buffer is cut many times", () => {
    const row = fc.oneof(
      fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 100 }),
      // Few values, many ties; longer than the buffer.
      fc
        .integer({ min: 1, max: 6000 })
        .chain((length) => fc.tuple(fc.constant(length), fc.integer(), fc.integer({ min: 1, max: 9 })))
        .map(([length, seed, values]) => Array.from({ length }, (_, i) => Math.imul(i + seed, 0x9e3779b1) % values)),
    );
    fc.assert(
      fc.property(row, fc.nat(), (values, n) => {
        const k = 1 + (n % (values.length + 3));
        const expected = naive(values, k);
        expect(ids(selector, values, k)).toEqual(expected);
        expect(keyId(selector.worstKey(expected.length))).toBe(expected.at(-1));
      }),
    );
  });

  it.each(["ascending", "descending", "equal"])("is exact on a long %s row", (order) => {
    const at = { ascending: (i: number): number => i, descending: (i: number): number => -i, equal: (): number => 1 }[order]!;
    const values = Array.from({ length: 20_000 }, (_, i) => at(i));
    for (const k of [1, 50, 5_000, 19_999]) expect(ids(selector, values, k)).toEqual(naive(values, k));
  });

  it("takes -Infinity last, lowest ids first", () => {
    expect(ids(selector, [-Infinity, 2, -Infinity, 3], 3)).toEqual([3, 1, 0]);
  });
});

function ids(selector: TopKSelector, values: readonly number[], k: number): number[] {
  const count = selector.selectSorted(Float32Array.from(values), k);
  return Array.from(selector.keys.subarray(0, count), keyId);
}

function naive(values: readonly number[], k: number): number[] {
  const row = Float32Array.from(values);
  return Array.from(row.keys())
    .sort((a, b) => (row[a] === row[b] ? a - b : row[a]! > row[b]! ? -1 : 1))
    .slice(0, k);
}

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { keyId, MAX_RANKED_VOCAB, rankKey, selectLargest, sortDescending } from "./ranked-keys.js";

const logit = fc.oneof(fc.float({ noNaN: true }), fc.constantFrom(0, -0, 1, -1, Infinity, -Infinity));
const id = fc.integer({ min: 0, max: MAX_RANKED_VOCAB - 1 });

describe("rankKey", () => {
  it("orders by logit, then by lower id, and gives the id back", () => {
    fc.assert(
      fc.property(logit, id, logit, id, (logitA, idA, logitB, idB) => {
        const [a, b] = [rankKey(logitA, idA), rankKey(logitB, idB)];
        const expected = logitA !== logitB ? logitA > logitB : idA < idB;
        expect(a > b).toBe(expected);
        expect(keyId(a)).toBe(idA);
        expect(Number.isSafeInteger(a)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("selectLargest and sortDescending", () => {
  const list = fc.uniqueArray(fc.integer({ min: 0, max: 1e6 }), { minLength: 1, maxLength: 200 });

  it("find the same k as a full sort", () => {
    fc.assert(
      fc.property(list, fc.nat(), (values, n) => {
        const k = 1 + (n % values.length);
        const sorted = values.toSorted((a, b) => b - a);
        const keys = Float64Array.from(values);
        selectLargest(keys, keys.length, k);
        expect([...keys.subarray(0, k)].toSorted((a, b) => b - a)).toEqual(sorted.slice(0, k));
        sortDescending(keys, 0, keys.length - 1);
        expect([...keys]).toEqual(sorted);
      }),
    );
  });

  it.each([
    ["ascending", (i: number): number => i],
    ["descending", (i: number, n: number): number => n - i],
    ["organ pipe", (i: number, n: number): number => (2 * i < n ? 2 * i : 2 * (n - i) - 1)],
    ["saw tooth", (i: number, n: number): number => (i % 64) * n + i],
  ])("are not quadratic on %s input", (_name, at) => {
    const n = 1 << 18;
    const keys = Float64Array.from({ length: n }, (_, i) => at(i, n));
    const sorted = keys.toSorted().toReversed();
    const start = performance.now();
    sortDescending(keys, 0, n - 1);
    // Quadratic would be minutes; 50 ms are usual.
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(keys.every((key, i) => key === sorted[i])).toBe(true);
  });
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { independentCopies } from "./independent-copies.js";

describe("independentCopies", () => {
  it("cuts before a copy that reads or writes what an earlier one wrote, and after so many", () => {
    expect(independentCopies(Int32Array.of(0, 1, 2, 3, 1, 4), 9)).toEqual([
      [0, 2],
      [2, 3],
    ]);
    expect(independentCopies(Int32Array.of(0, 1, 2, 1), 9)).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(independentCopies(Int32Array.of(0, 1, 2, 3, 4, 5), 2)).toEqual([
      [0, 2],
      [2, 3],
    ]);
    expect(independentCopies(new Int32Array(0), 2)).toEqual([]);
  });

  it("gives what copying one by one gives, when all blocks of a range are read before one is written", () => {
    const block = fc.integer({ min: 0, max: 7 });
    fc.assert(
      fc.property(fc.array(fc.tuple(block, block), { maxLength: 20 }), fc.integer({ min: 1, max: 6 }), (copies, most) => {
        const oneByOne = Array.from({ length: 8 }, (_, i) => i);
        for (const [from, to] of copies) oneByOne[to] = oneByOne[from]!;
        const ranged = Array.from({ length: 8 }, (_, i) => i);
        for (const [start, end] of independentCopies(Int32Array.from(copies.flat()), most)) {
          expect(end - start).toBeLessThanOrEqual(most);
          const read = copies.slice(start, end).map(([from]) => ranged[from]!);
          copies.slice(start, end).forEach(([, to], i) => (ranged[to] = read[i]!));
        }
        expect(ranged).toEqual(oneByOne);
      }),
    );
  });
});

import { describe, expect, it } from "vitest";
import { CounterRandom, philox4x32 } from "./counter-random.js";

/** 99.9 % point of chi-square with 99 degrees of freedom. */
const CHI_SQUARE_99 = 148.2;

describe("philox4x32", () => {
  // The known answers published with Random123 (kat_vectors, philox4x32 10).
  const vectors: [number[], [number, number], number[]][] = [
    [
      [0, 0, 0, 0],
      [0, 0],
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
    ],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];

  it.each(vectors)("gives the published bits for counter %j", (counter, key, expected) => {
    const block = Uint32Array.from(counter);
    philox4x32(block, ...key);
    expect([...block]).toEqual(expected);
  });
});

describe("CounterRandom", () => {
  const random = new CounterRandom();

  it("gives the same number for the same seed and counter, whatever was asked before", () => {
    const first = random.uniform(7, 9, 3);
    random.uniform(1, 2, 3);
    expect(random.uniform(7, 9, 3)).toBe(first);
    expect(new CounterRandom().uniform(7, 9, 3)).toBe(first);
  });

  it("depends on every part: both seed halves and the counter", () => {
    const all = new Set(
      [
        [0, 0, 0],
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
      ].map(([a, b, c]) => random.uniform(a!, b!, c!)),
    );
    expect(all.size).toBe(4);
  });

  it.each([
    ["counters of one seed", (i: number): number => random.uniform(5, 0, i)],
    ["seeds at one counter", (i: number): number => random.uniform(i, 0, 0)],
    ["high seed halves", (i: number): number => random.uniform(1, i, 4)],
  ])("is uniform and independent from one to the next over %s", (_name, draw) => {
    const cells = new Float64Array(100);
    const draws = 40_000;
    let inside = true;
    for (let i = 0; i < draws; i += 2) {
      const [a, b] = [draw(i), draw(i + 1)];
      inside &&= a > 0 && a < 1 && b > 0 && b < 1;
      cells[Math.floor(a * 10) * 10 + Math.floor(b * 10)]! += 1;
    }
    expect(inside).toBe(true);
    expect(chiSquare(cells, draws / 200)).toBeLessThan(CHI_SQUARE_99);
  });
});

function chiSquare(observed: Float64Array, expected: number): number {
  return observed.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

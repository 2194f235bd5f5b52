import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Draw, type Kept } from "./draw.js";
import { EXP_LIMIT } from "./exp-table.js";

const draw = new Draw();
const ALL: Kept = { max: 0, inverseTemperature: 1, maxBelow: EXP_LIMIT, minLogit: -Infinity, lastTie: 1e9 };

describe("Draw", () => {
  it("inverts the cumulative distribution of the kept tokens, in id order, across blocks and between ties", () => {
    const logit = fc.oneof(fc.integer({ min: -4, max: 0 }), fc.constant(-Infinity));
    const values = fc.oneof(
      fc.array(logit, { maxLength: 20 }),
      fc.integer({ min: 250, max: 1200 }).map((length) => Array.from({ length }, (_, i) => -((i * 7) % 5))),
    );
    const u = fc.double({ min: 0, max: 1, noNaN: true, minExcluded: true, maxExcluded: true });
    fc.assert(
      fc.property(values, u, fc.integer({ min: -3, max: 0 }), fc.nat(), (rest, u, minLogit, tie) => {
        const logits = Float32Array.from([...rest, 0]);
        const kept = { ...ALL, minLogit, lastTie: tie % logits.length, maxBelow: 3.5, inverseTemperature: 0.9 };
        const shares = [...logits].map((logit, id) => {
          const inside = logit > minLogit || (logit === minLogit && id <= kept.lastTie);
          return inside && -logit * 0.9 <= 3.5 ? Math.exp(logit * 0.9) : 0;
        });
        const total = shares.reduce((sum, share) => sum + share, 0);
        // With only ties kept, the last of them may lie beyond lastTie.
        if (total === 0) return;
        let sum = 0;
        const expected = shares.findIndex((share) => (sum += share / total) > u);
        const nearest = borders(shares, total).reduce((least, border) => Math.min(least, Math.abs(border - u)), 1);
        if (nearest > 1e-9) expect(draw.draw(logits, kept, u)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it("takes the last kept token when rounding carries the number past the end", () => {
    const logits = new Float32Array(1000).fill(-Infinity);
    logits.set([0, -1], 300);
    expect(draw.draw(logits, ALL, 1)).toBe(301);
  });
});

function borders(shares: readonly number[], total: number): number[] {
  let sum = 0;
  return shares.map((share) => (sum += share / total));
}

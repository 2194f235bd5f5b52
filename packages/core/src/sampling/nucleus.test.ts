import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Nucleus, nucleusOfList } from "./nucleus.js";
import { keyId, rankKey } from "./ranked-keys.js";

const nucleus = new Nucleus();

describe("Nucleus", () => {
  it("ends at the very token at which a full sort reaches p, over rows and over lists", () => {
    let compared = 0;
    fc.assert(
      fc.property(
        row,
        fc.double({ min: 0.05, max: 20, noNaN: true }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        (values, temperature, topP) => {
          const logits = Float32Array.from(values);
          const { order, last, margin } = naive(logits, temperature, topP);
          if (margin < 1e-9) return;
          compared++;
          expect(keyId(nucleus.ofRow(logits, logits[order[0]!]!, 1 / temperature, topP))).toBe(order[last]);
          const keys = Float64Array.from(order, (id) => rankKey(logits[id]!, id));
          expect(keyId(nucleusOfList(keys, keys.length, logits, 1 / temperature, topP))).toBe(order[last]);
        },
      ),
      { numRuns: 1000 },
    );
    expect(compared).toBeGreaterThan(800);
  });

  it("cuts between equal logits by id", () => {
    const logits = new Float32Array(2000).fill(3);
    expect(keyId(nucleus.ofRow(logits, 3, 1, 0.25005))).toBe(500);
  });

  it("holds the best token alone when it has p by itself", () => {
    expect(keyId(nucleus.ofRow(Float32Array.of(0, 20, -Infinity), 20, 1, 0.5))).toBe(1);
  });
});

const row = fc.oneof(
  fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 50 }),
  fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 300 }),
  fc
    .array(fc.oneof(fc.constant(-Infinity), fc.float({ min: -1, max: 1, noNaN: true })), { minLength: 1, maxLength: 50 })
    .map((values) => [0, ...values]),
);

/** The sorted ids, the rank of the nucleus's last and how near p was to a border. */
function naive(logits: Float32Array, temperature: number, topP: number): { order: number[]; last: number; margin: number } {
  const order = Array.from(logits.keys()).sort((a, b) => (logits[a] === logits[b] ? a - b : logits[a]! > logits[b]! ? -1 : 1));
  const weights = order.map((id) => Math.exp((logits[id]! - logits[order[0]!]!) / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let mass = 0;
  let margin = 1;
  const last = weights.findIndex((weight) => {
    mass += weight / total;
    margin = Math.min(margin, Math.abs(mass - topP));
    return mass >= topP;
  });
  return { order, last, margin };
}

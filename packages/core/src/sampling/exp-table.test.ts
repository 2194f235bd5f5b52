import * as fc from "fast-check";
import { expect, it } from "vitest";
import { EXP_LIMIT, expNegative } from "./exp-table.js";

it("expNegative agrees with Math.exp to 3e-14 over its whole range, ends included", () => {
  const check = (d: number): void => {
    expect(Math.abs(expNegative(d) / Math.exp(-d) - 1)).toBeLessThan(3e-14);
  };
  check(0);
  check(EXP_LIMIT);
  fc.assert(fc.property(fc.double({ min: 0, max: EXP_LIMIT, noNaN: true }), check), { numRuns: 5000 });
});

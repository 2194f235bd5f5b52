/** How many rows a strict step must compute so that a row's bits do not depend on the others. */
import type { WeightScheme } from "@weir/core";

/**
 * MatMulNBits with int8 activations sends the last of an odd number of rows through another kernel (one row is the
 * commonest case), which adds in another order; measured for groups of 64 and 128 (row-invariance.test.ts).
 * All other forms give the same bits at any number of rows.
 */
export function paddedRows(scheme: WeightScheme, rows: number): number {
  return scheme.startsWith("int4") ? rows + (rows % 2) : rows;
}

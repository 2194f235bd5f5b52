/** Each dense kernel alone on a device, against a few lines of TypeScript. */
import { afterAll, describe, expect, it } from "vitest";
import { KernelBench, randomValues, relativeError } from "../testing-support/run-kernel.js";
import { findTestGpu, titled } from "../testing-support/test-gpu.js";
import { embed } from "./embed.js";
import { gatedSilu } from "./gated-silu.js";
import { matmul, matmulDims, type MatmulSizes } from "./matmul.js";
import { matvec } from "./matvec.js";
import { rmsNorm } from "./rms-norm.js";

const found = await findTestGpu();
const bench = found.gpu && (await KernelBench.open(found.gpu));
afterAll(() => bench?.close());

const TOLERANCE = 1e-5;
const always = (): boolean => true;

describe.skipIf(!bench)(titled("dense kernels", found), () => {
  it("embed looks rows up and scales them, each part those that it holds", async () => {
    const hiddenSize = 70;
    const ids = [0, 9, 4, 5, 3];
    const table = randomValues(10 * hiddenSize, 1);
    const tokens = Int32Array.from(ids.flatMap((id) => [id, 0, 0, 0]));
    const parts = [
      { firstRow: 0, numRows: 4 },
      { firstRow: 4, numRows: 6 },
    ];
    const { hidden } = await bench!.run(
      parts.map((part, i) => embed({ hiddenSize, scale: 3, ...part }, { table: `table${i}`, hidden: "hidden" })),
      {
        tokens,
        table0: table.slice(0, 4 * hiddenSize),
        table1: table.slice(4 * hiddenSize),
        hidden: new Float32Array(ids.length * hiddenSize),
      },
      ["hidden"],
      { numTokens: ids.length, numSeqs: 1, numRows: 1 },
    );
    const expected = ids.flatMap((id) =>
      [...table.subarray(id * hiddenSize, (id + 1) * hiddenSize)].map((value) => Math.fround(value * 3)),
    );
    expect([...hidden]).toEqual(expected);
  });

  it.each([
    [96, false],
    [1000, true],
  ])("rms-norm of %i elements, rows picked: %s", async (size, gather) => {
    const x = randomValues(5 * size, 2);
    const weight = randomValues(size, 3);
    const rows = gather ? [4, 1] : [0, 1, 2, 3, 4];
    const { normed } = await bench!.run(
      [rmsNorm({ size, epsilon: 1e-5, gather }, { x: "x", weight: "weight", normed: "normed" })],
      { x, weight, rows: Int32Array.from(rows), normed: new Float32Array(rows.length * size) },
      ["normed"],
      { numTokens: 5, numSeqs: 1, numRows: rows.length },
    );
    const expected = rows.flatMap((row) => {
      const values = [...x.subarray(row * size, (row + 1) * size)];
      const factor = 1 / Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / size + 1e-5);
      return values.map((value, i) => value * factor * weight[i]!);
    });
    expect(relativeError(normed, expected)).toBeLessThan(TOLERANCE);
  });

  // Odd sizes, so that every edge of a tile is met; 33 is no multiple of four.
  const shapes = [
    [33, 70, false, false],
    [96, 130, true, false],
    [64, 65, false, true],
    [36, 9, true, true],
  ] as const;
  it.each(shapes)(
    "matmul and matvec: %i in, %i out, bias %s, added %s; all forms give the same bits",
    async (inFeatures, n, bias, accumulate) => {
      const [firstColumn, outStride, rows] = [3, n + 5, 70];
      const sizes: MatmulSizes = { inFeatures, numColumns: n, firstColumn, outStride, bias, accumulate, rows: "numTokens" };
      const buffers = { x: "x", weight: "weight", result: "result", ...(bias ? { bias: "bias" } : {}) };
      const x = randomValues(rows * inFeatures, 4);
      const weight = randomValues(n * inFeatures, 5);
      const biases = randomValues(outStride, 6);
      const before = randomValues(rows * outStride, 7);
      const expected = Float64Array.from(before);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < n; column++) {
          let sum = bias ? biases[firstColumn + column]! : 0;
          for (let k = 0; k < inFeatures; k++) sum += x[row * inFeatures + k]! * weight[column * inFeatures + k]!;
          const at = row * outStride + firstColumn + column;
          expected[at] = accumulate ? before[at]! + sum : sum;
        }
      }
      const results: Float32Array[] = [];
      for (const dispatch of [
        matmul(sizes, buffers, "dims", always),
        matvec(sizes, buffers, 1, always),
        matvec(sizes, buffers, 4, always),
      ]) {
        const inputs = { x, weight, bias: biases, result: before, dims: matmulDims(sizes) };
        const { result } = await bench!.run([dispatch], inputs, ["result"], { numTokens: rows, numSeqs: 1, numRows: 1 });
        expect(relativeError(result, expected)).toBeLessThan(TOLERANCE);
        results.push(result);
      }
      expect(results[1]).toEqual(results[0]);
      expect(results[2]).toEqual(results[0]);
    },
  );

  it("gated-silu multiplies the second half by silu of the first", async () => {
    const size = 70;
    const gateUp = randomValues(3 * 2 * size, 8).map((value) => value * 20);
    const { gated } = await bench!.run(
      [gatedSilu(size, { gateUp: "gateUp", out: "gated" })],
      { gateUp, gated: new Float32Array(3 * size) },
      ["gated"],
      { numTokens: 3, numSeqs: 1, numRows: 1 },
    );
    const expected = Array.from({ length: 3 * size }, (_, i) => {
      const at = Math.floor(i / size) * 2 * size + (i % size);
      return (gateUp[at]! / (1 + Math.exp(-gateUp[at]!))) * gateUp[at + size]!;
    });
    expect(relativeError(gated, expected)).toBeLessThan(TOLERANCE);
  });
});

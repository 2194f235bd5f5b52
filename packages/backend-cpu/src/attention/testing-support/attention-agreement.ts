/** The property that the wasm kernels agree with the f64 reference, for the quick tests and the deep ones. Test code only. */
import * as fc from "fast-check";
import { expect } from "vitest";
import type { CpuAttentionConfig } from "@weir/core";
import { configOf, layerOf, randomOf, ropeOf, runInChunks, sequencesOf, smallLimits } from "./attention-fixtures.js";
import { createCpuAttention as createReference } from "../typescript-attention.js";
import { createCpuAttention } from "../wasm-attention.js";

/** Helpers take part whatever the size of a step. */
export const ALWAYS_PARALLEL = { minParallelWork: 0 } as const;
/** f32: rounding in sums of up to some hundred terms. int8: half a step of 1/127 of the largest |k| and |v| of a head. */
const TOLERANCE = { f32: 1e-5, int8: 0.06 } as const;

export async function checkAgreement(numRuns: number): Promise<void> {
  await fc.assert(
    fc.asyncProperty(shapes, async (shape) => {
      const config = configFrom(shape);
      const sequences = sequencesOf(config, shape.lengths, shape.seed);
      const reference = await createReference({ ...config, kvDtype: "f32" });
      const kernel = await createCpuAttention(config, ALWAYS_PARALLEL);
      const actual = runInChunks(kernel, config, sequences, shape.seed);
      const expected = runInChunks(reference, config, sequences, shape.seed);
      actual.forEach((layers, s) => layers.forEach((rows, l) => expectClose(rows, expected[s]![l]!, TOLERANCE[shape.kvDtype])));
      await kernel.dispose();
    }),
    { numRuns, examples: [[readBehindTheCache]] },
  );
}

/** Regression: reading ahead in blocks larger than a tile ran past the end of the memory. */
const readBehindTheCache: Shape = {
  kvDtype: "f32",
  kvHeads: 1,
  group: 1,
  headDim: 16,
  vHeadDim: 16,
  blockSize: 128,
  window: 0,
  softcap: 0,
  sinks: false,
  rope: "none",
  threads: 1,
  lengths: [65, 1],
  seed: 27,
};

/** Absolute below 1, relative above. */
export function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!) / Math.max(1, Math.abs(expected[i]!));
    if (!(difference <= worst)) worst = difference;
  }
  expect(worst).toBeLessThan(tolerance);
}

export interface Shape {
  readonly kvDtype: "f32" | "int8";
  readonly kvHeads: number;
  readonly group: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly blockSize: number;
  readonly window: number;
  readonly softcap: number;
  readonly sinks: boolean;
  readonly rope: "none" | "halves" | "neighbours" | "partial";
  readonly threads: number;
  readonly lengths: number[];
  readonly seed: number;
}

/** Any model and step that the kernels take, within reason. */
export const shapes: fc.Arbitrary<Shape> = fc.record({
  kvDtype: fc.constantFrom("f32" as const, "int8" as const),
  kvHeads: fc.integer({ min: 1, max: 4 }),
  group: fc.integer({ min: 1, max: 9 }),
  headDim: fc.integer({ min: 2, max: 16 }).map((n) => n * 8),
  vHeadDim: fc.integer({ min: 2, max: 16 }).map((n) => n * 8),
  blockSize: fc.constantFrom(8, 16, 32, 64, 128),
  window: fc.constantFrom(0, 0, 1, 5, 64, 100),
  softcap: fc.constantFrom(0, 0, 2, 30),
  sinks: fc.boolean(),
  rope: fc.constantFrom("none" as const, "halves" as const, "neighbours" as const, "partial" as const),
  threads: fc.integer({ min: 1, max: 3 }),
  lengths: fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 4 }),
  seed: fc.integer(),
});

export function configFrom(shape: Shape): CpuAttentionConfig {
  const random = randomOf(shape.seed);
  const numHeads = shape.kvHeads * shape.group;
  const sinks = shape.sinks ? { sinks: Float32Array.from({ length: numHeads }, () => random() * 4 - 2) } : {};
  const { headDim, vHeadDim, window, softcap } = shape;
  const layer = layerOf({
    numHeads,
    numKvHeads: shape.kvHeads,
    headDim,
    vHeadDim,
    window,
    softcap,
    rope: shape.rope === "none" ? -1 : 0,
    ...sinks,
  });
  const rope = ropeOf(shape.rope === "partial" ? headDim - 6 : headDim, shape.rope === "neighbours", smallLimits.maxModelLen);
  const limits = { ...smallLimits, blockSize: shape.blockSize, numBlocks: Math.ceil(2560 / shape.blockSize) };
  return configOf([layer, layerOf()], { ropes: [rope], limits, kvDtype: shape.kvDtype, threads: shape.threads });
}

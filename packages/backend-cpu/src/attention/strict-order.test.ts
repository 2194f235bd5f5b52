import { beforeAll, describe, expect, it } from "vitest";
import type { CpuAttention, CpuAttentionConfig } from "@weir/core";
import { ALWAYS_PARALLEL, expectClose } from "./testing-support/attention-agreement.js";
import {
  all,
  bits,
  configOf,
  layerOf,
  ropeOf,
  runInChunks,
  runStep,
  sequencesOf,
  smallLimits,
  widthOf,
  type TestSequence,
} from "./testing-support/attention-fixtures.js";
import { createCpuAttention } from "./wasm-attention.js";

beforeAll(async () => {
  await (await import("./build-kernels.mjs")).buildKernels();
});

describe.each(["f32", "int8"] as const)("strict order of summation, %s", (kvDtype) => {
  it.each([
    ["grouped heads", layerOf({ numHeads: 8, numKvHeads: 2 })],
    ["a group of 7, odd and not a power of two", layerOf({ numHeads: 14, numKvHeads: 2, headDim: 40, vHeadDim: 24 })],
    ["a window", layerOf({ numHeads: 6, numKvHeads: 6, window: 37 })],
    ["one kv head, softcap and sinks", layerOf({ numHeads: 5, numKvHeads: 1, softcap: 3, sinks: Float32Array.of(0, 1, 2, -1, 0.5) })],
  ])("gives the same bits alone, batched, chunked and with any number of threads: %s", async (_name, layer) => {
    const base = configOf([{ ...layer, rope: 0 }], { kvDtype, ropes: [ropeOf(layer.headDim, false, smallLimits.maxModelLen)] });
    const lengths = [1, 15, 64, 65, 200, 129];
    const sequences = sequencesOf(base, lengths, 11);
    const alone = await createCpuAttention(base);
    const expected = sequences.map((sequence) => runStep(alone, base, [all(sequence)])[0]!);
    for (const [threads, seed] of [
      [1, 1],
      [2, 2],
      [3, 3],
      [4, 4],
    ] as const) {
      const config = { ...base, threads };
      const kernel = await createCpuAttention(config, ALWAYS_PARALLEL);
      expect(bits(runInChunks(kernel, config, sequences, seed))).toEqual(bits(expected));
      expect(bits(decodeAll(kernel, config, sequences))).toEqual(bits(expected));
      await kernel.dispose();
    }
  });

  it("does not depend on which blocks a sequence has", async () => {
    const config = configOf([layerOf()], { kvDtype });
    const kernel = await createCpuAttention(config);
    const [sequence] = sequencesOf(config, [150], 12);
    const moved = { ...sequence!, blocks: sequence!.blocks.map((block) => config.limits.numBlocks - 1 - block) };
    const [first, second] = [runStep(kernel, config, [all(sequence!)]), runStep(kernel, config, [all(moved)])];
    expect(bits(second)).toEqual(bits(first));
  });

  it("has power: another order of the same keys gives other bits", async () => {
    const config = configOf([layerOf()], { kvDtype });
    const kernel = await createCpuAttention(config);
    const [sequence] = sequencesOf(config, [150], 13);
    const first = runStep(kernel, config, [all(sequence!)])[0]![0]!;
    const swapped = { ...sequence!, rows: [swapTokens(sequence!.rows[0]!, widthOf(config.layers[0]!), 3, 90)] };
    const second = runStep(kernel, config, [all(swapped)])[0]![0]!;
    const last = first.length - 8 * 64;
    expectClose(second.subarray(last), first.subarray(last), 1e-5);
    expect(bits([[second.subarray(last)]])).not.toEqual(bits([[first.subarray(last)]]));
  });
});

describe.each(["f32", "int8"] as const)("NaN, %s", (kvDtype) => {
  it.each(["q", "k", "v"] as const)("in %s stays in its own sequence, and blocks it leaves behind do no harm", async (where) => {
    const config = configOf([layerOf({ headDim: 24, vHeadDim: 24 })], { kvDtype });
    const kernel = await createCpuAttention(config);
    const [bad, good] = sequencesOf(config, [40, 50], 21) as [TestSequence, TestSequence];
    const clean = runStep(kernel, config, [all(good)]);
    const column = { q: 0, k: 8 * 24, v: 10 * 24 }[where];
    bad.rows[0]![20 * widthOf(config.layers[0]!) + column] = NaN;
    const [poisoned, other] = runStep(kernel, config, [all(bad), all(good)]);
    expect(bits([other!])).toEqual(bits(clean));
    // Head 0 of token 20 computes with it, whichever of the three it is; the tokens before never see it.
    expect(poisoned![0]!.subarray(20 * 192, 20 * 192 + 24).some(Number.isNaN)).toBe(true);
    expect(poisoned![0]!.subarray(0, 20 * 192).every(Number.isFinite)).toBe(true);
    if (where !== "q") expect(Number.isNaN(poisoned![0]![39 * 192])).toBe(true);
    // The poisoned blocks are handed to another sequence, whose last block is part full.
    const heir = { ...good, blocks: [...bad.blocks, ...good.blocks].slice(0, 4) };
    expect(bits(runStep(kernel, config, [all(heir)]))).toEqual(bits(clean));
  });
});

/** Token by token, all sequences that are not yet at their end in each step. */
function decodeAll(kernel: CpuAttention, config: CpuAttentionConfig, sequences: readonly TestSequence[]): Float32Array[][] {
  const joined = sequences.map(({ length }) => config.layers.map((layer) => new Float32Array(length * layer.numHeads * layer.vHeadDim)));
  for (let start = 0; sequences.some(({ length }) => start < length); start++) {
    const live = sequences.filter(({ length }) => start < length);
    runStep(
      kernel,
      config,
      live.map((sequence) => ({ sequence, start, count: 1 })),
    ).forEach((layers, i) => {
      layers.forEach((rows, l) => joined[sequences.indexOf(live[i]!)]![l]!.set(rows, start * rows.length));
    });
  }
  return joined;
}

function swapTokens(rows: Float32Array, width: number, a: number, b: number): Float32Array {
  const swapped = rows.slice();
  swapped.set(rows.subarray(b * width, (b + 1) * width), a * width);
  swapped.set(rows.subarray(a * width, (a + 1) * width), b * width);
  return swapped;
}

/**
 * Builds random steps for the kernels' tests: sequences whose blocks are scattered over the pool, chunked at will.
 * Test code only; knows the contract and no kernel.
 */
import { createHash } from "node:crypto";
import {
  createModelInput,
  type CpuAttention,
  type CpuAttentionConfig,
  type CpuAttentionLayer,
  type ModelInput,
  type ModelLimits,
  type RopeTable,
} from "@weir/core";

export const smallLimits: ModelLimits = { maxModelLen: 512, maxNumSeqs: 8, maxNumBatchedTokens: 512, blockSize: 16, numBlocks: 160 };

export function layerOf(fields: Partial<CpuAttentionLayer> = {}): CpuAttentionLayer {
  const headDim = fields.headDim ?? 64;
  const plain = { numHeads: 8, numKvHeads: 2, headDim, vHeadDim: headDim, scale: 1 / Math.sqrt(headDim), window: 0, softcap: 0, rope: -1 };
  return { ...plain, ...fields };
}

export function configOf(layers: readonly CpuAttentionLayer[], fields: Partial<CpuAttentionConfig> = {}): CpuAttentionConfig {
  return { layers, ropes: [], limits: smallLimits, kvDtype: "f32", threads: 1, strict: true, ...fields };
}

export function ropeOf(rotaryDim: number, interleaved: boolean, positions: number): RopeTable {
  const cos = new Float32Array((positions * rotaryDim) / 2);
  const sin = new Float32Array(cos.length);
  for (let i = 0; i < cos.length; i++) {
    const angle = Math.floor(i / (rotaryDim / 2)) * 10_000 ** (-(i % (rotaryDim / 2)) / (rotaryDim / 2));
    cos[i] = Math.cos(angle);
    sin[i] = Math.sin(angle);
  }
  return { rotaryDim, interleaved, cos, sin };
}

/** mulberry32: uniform in [0, 1). */
export function randomOf(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** One sequence: its blocks and, per layer, the q, k, v rows of all its tokens. */
export interface TestSequence {
  readonly length: number;
  readonly blocks: readonly number[];
  /** [layers][length, width] f32 */
  readonly rows: readonly Float32Array[];
}

/** Sequences of these lengths with random rows, over a shuffled pool. */
export function sequencesOf(config: CpuAttentionConfig, lengths: readonly number[], seed: number): TestSequence[] {
  const random = randomOf(seed);
  const free = Array.from({ length: config.limits.numBlocks }, (_, block) => block);
  for (let i = free.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [free[i], free[j]] = [free[j]!, free[i]!];
  }
  return lengths.map((length) => ({
    length,
    blocks: free.splice(0, Math.ceil(length / config.limits.blockSize)),
    rows: config.layers.map((layer) => {
      // Sums of uniforms: near normal, as activations are.
      return Float32Array.from({ length: length * widthOf(layer) }, () => (random() + random() + random() - 1.5) * 2);
    }),
  }));
}

/** What of a sequence runs in a step. */
export interface Chunk {
  readonly sequence: TestSequence;
  readonly start: number;
  readonly count: number;
}

/** Runs a step; gives per chunk and layer the output rows [count, numHeads * vHeadDim]. `mapSlot` may change slots. */
export function runStep(
  kernel: CpuAttention,
  config: CpuAttentionConfig,
  chunks: readonly Chunk[],
  mapSlot: (slot: number) => number = (slot) => slot,
): Float32Array[][] {
  const input = inputOf(config, chunks);
  for (let token = 0; token < input.numTokens; token++) input.slotMapping[token] = mapSlot(input.slotMapping[token]!);
  kernel.begin(input);
  const outputs: Float32Array[][] = chunks.map(() => []);
  config.layers.forEach((layer, index) => {
    const width = widthOf(layer);
    chunks.forEach(({ sequence, start, count }, i) => {
      kernel.qkv(index).set(sequence.rows[index]!.subarray(start * width, (start + count) * width), input.cuSeqlensQ[i]! * width);
    });
    kernel.run(index);
    const outWidth = layer.numHeads * layer.vHeadDim;
    chunks.forEach(({ count }, i) => {
      const from = input.cuSeqlensQ[i]! * outWidth;
      outputs[i]!.push(kernel.output(index).slice(from, from + count * outWidth));
    });
  });
  return outputs;
}

export function all(sequence: TestSequence): Chunk {
  return { sequence, start: 0, count: sequence.length };
}

/** Prefill in random chunks, sequences mixed in every step; output rows per sequence and layer, joined. */
export function runInChunks(
  kernel: CpuAttention,
  config: CpuAttentionConfig,
  sequences: readonly TestSequence[],
  seed: number,
): Float32Array[][] {
  const random = randomOf(seed);
  const done = sequences.map(() => 0);
  const joined = sequences.map(({ length }) => config.layers.map((layer) => new Float32Array(length * layer.numHeads * layer.vHeadDim)));
  while (sequences.some(({ length }, i) => done[i]! < length)) {
    const chunks: (Chunk & { readonly index: number })[] = [];
    sequences.forEach((sequence, index) => {
      const left = sequence.length - done[index]!;
      if (left === 0 || random() < 0.3) return;
      const count = Math.min(left, random() < 0.3 ? 1 : 1 + Math.floor(random() * 100));
      chunks.push({ sequence, start: done[index]!, count, index });
      done[index]! += count;
    });
    if (chunks.length === 0) continue;
    runStep(kernel, config, chunks).forEach((layers, i) => {
      layers.forEach((rows, l) => joined[chunks[i]!.index]![l]!.set(rows, chunks[i]!.start * (rows.length / chunks[i]!.count)));
    });
  }
  return joined;
}

export function inputOf(config: CpuAttentionConfig, chunks: readonly Chunk[]): ModelInput {
  const { limits } = config;
  const input = createModelInput(limits);
  input.blockTables.fill(-1);
  input.numSeqs = chunks.length;
  chunks.forEach(({ sequence, start, count }, seq) => {
    input.pastLens[seq] = start;
    input.blockTables.set(sequence.blocks, seq * input.maxBlocksPerSeq);
    for (let i = 0; i < count; i++) {
      const position = start + i;
      const block = sequence.blocks[Math.floor(position / limits.blockSize)]!;
      input.positions[input.numTokens] = position;
      input.slotMapping[input.numTokens++] = block * limits.blockSize + (position % limits.blockSize);
    }
    input.cuSeqlensQ[seq + 1] = input.numTokens;
  });
  return input;
}

export function widthOf(layer: CpuAttentionLayer): number {
  return (layer.numHeads + layer.numKvHeads) * layer.headDim + layer.numKvHeads * layer.vHeadDim;
}

export /** For comparison of bits, -0 and NaN included: digests, since vitest compares long arrays slowly. */
function bits(outputs: readonly (readonly Float32Array[])[]): string[][] {
  const digest = (rows: Float32Array): string => createHash("sha256").update(new Uint8Array(rows.slice().buffer)).digest("hex");
  return outputs.map((layers) => layers.map(digest));
}

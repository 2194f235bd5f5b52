/**
 * rope-store and paged-attention on a device, against plain TypeScript over unpaged arrays: three sequences in one
 * step (a prompt's chunk, a decode, a prompt), blocks in no order, one token that is not to be stored.
 */
import type { WgslAttentionLayer } from "@weir/core";
import { afterAll, describe, expect, it } from "vitest";
import { KernelBench, randomValues, relativeError } from "../testing-support/run-kernel.js";
import { findTestGpu, titled } from "../testing-support/test-gpu.js";
import { pagedAttention } from "./paged-attention.js";
import { ropeStore } from "./rope-store.js";

const found = await findTestGpu();
const bench = found.gpu && (await KernelBench.open(found.gpu));
afterAll(() => bench?.close());

const BLOCK_SIZE = 16;
const MAX_BLOCKS = 6;
const NUM_BLOCKS = 16;
const MAX_LEN = 96;
/** Tokens cached before the step and new in it. The first spans two tiles of 64. */
const SEQUENCES = [
  { past: 75, fresh: 6, blocks: [3, 11, 0, 7, 14, 5] },
  { past: 16, fresh: 1, blocks: [9, 2] },
  { past: 0, fresh: 4, blocks: [12] },
];
const NUM_TOKENS = SEQUENCES.reduce((sum, { fresh }) => sum + fresh, 0);

const plain: WgslAttentionLayer = { numHeads: 4, numKvHeads: 2, headDim: 32, vHeadDim: 32, scale: 0.3, window: 0, softcap: 0 };
const layers: readonly (readonly [string, WgslAttentionLayer])[] = [
  ["grouped heads, rotated halves", { ...plain, rope: { rotaryDim: 32, interleaved: false } }],
  ["part of a head rotated, in pairs, other size of values", { ...plain, vHeadDim: 16, rope: { rotaryDim: 16, interleaved: true } }],
  ["a part rotated in halves, a window, a softcap", { ...plain, window: 9, softcap: 2, rope: { rotaryDim: 24, interleaved: false } }],
  ["the largest head, no rotation", { ...plain, numHeads: 2, numKvHeads: 1, headDim: 256, vHeadDim: 256, scale: 0.05 }],
];

describe.skipIf(!bench)(titled("attention kernels", found), () => {
  it.each(layers)("%s", async (_, layer) => {
    const { numHeads, numKvHeads, headDim, vHeadDim, rope } = layer;
    const width = (numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim;
    const half = (rope?.rotaryDim ?? 2) / 2;
    const turns = Float32Array.from({ length: MAX_LEN * half }, (_, i) => Math.floor(i / half) / 10 ** ((i % half) / half));
    const table = Float32Array.from({ length: 2 * turns.length }, (_, i) => (i % 2 === 0 ? Math.cos : Math.sin)(turns[i >> 1]!));
    const histories = SEQUENCES.map(({ past, fresh }, i) => randomValues((past + fresh) * width, i + 1));
    const step = layOut(layer, histories, turns, half);
    const { keys, values, output } = await bench!.run(
      [ropeStore(layer), pagedAttention(layer, BLOCK_SIZE)],
      { ...step, rope: table, output: new Float32Array(NUM_TOKENS * numHeads * vHeadDim) },
      ["keys", "values", "output"],
      { numTokens: NUM_TOKENS, numSeqs: SEQUENCES.length, numRows: 1, maxBlocksPerSeq: MAX_BLOCKS },
    );
    const expected = SEQUENCES.flatMap(({ past, fresh }, i) =>
      Array.from({ length: fresh }, (_, t) => attend(layer, rotateAll(layer, histories[i]!, turns, half), past + t)).flat(2),
    );
    expect(relativeError(output, expected)).toBeLessThan(1e-5);
    // What was stored: everything, but for the last token of the second sequence.
    const stored = storedCache(layer, histories, turns, half, new Set([1]));
    expect(relativeError(keys, stored.keys)).toBeLessThan(1e-6);
    expect(values).toEqual(stored.values);
  });
});

/** The buffers of a step in which every sequence's past is in the cache already. */
function layOut(
  layer: WgslAttentionLayer,
  histories: readonly Float32Array[],
  turns: Float32Array,
  half: number,
): Record<"tokens" | "sequences" | "blockTables" | "qkv" | "keys" | "values", Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>> {
  const { numHeads, numKvHeads, headDim, vHeadDim } = layer;
  const width = (numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim;
  const cache = storedCache(layer, histories, turns, half, new Set([0, 1, 2]));
  const tokens: number[] = [];
  const sequences: number[] = [];
  const blockTables = new Int32Array(SEQUENCES.length * MAX_BLOCKS).fill(-1);
  const qkv = new Float32Array(NUM_TOKENS * width);
  SEQUENCES.forEach(({ past, fresh, blocks }, i) => {
    sequences.push(tokens.length / 4, past);
    blockTables.set(blocks, i * MAX_BLOCKS);
    for (let position = past; position < past + fresh; position++) {
      qkv.set(histories[i]!.subarray(position * width, (position + 1) * width), (tokens.length / 4) * width);
      tokens.push(1, position, i === 1 ? -1 : slotOf(blocks, position), i);
    }
  });
  return { tokens: Int32Array.from(tokens), sequences: Int32Array.from(sequences), blockTables, qkv, ...cache };
}

/** @param unstored sequences whose new tokens are not in the cache */
function storedCache(
  layer: WgslAttentionLayer,
  histories: readonly Float32Array[],
  turns: Float32Array,
  half: number,
  unstored: ReadonlySet<number>,
): { readonly keys: Float32Array<ArrayBuffer>; readonly values: Float32Array<ArrayBuffer> } {
  const { numHeads, numKvHeads, headDim, vHeadDim } = layer;
  const [keySize, valueSize] = [numKvHeads * headDim, numKvHeads * vHeadDim];
  const keys = new Float32Array(NUM_BLOCKS * BLOCK_SIZE * keySize);
  const values = new Float32Array(NUM_BLOCKS * BLOCK_SIZE * valueSize);
  SEQUENCES.forEach(({ past, fresh, blocks }, i) => {
    const rotated = rotateAll(layer, histories[i]!, turns, half);
    for (let position = 0; position < past + (unstored.has(i) ? 0 : fresh); position++) {
      const row = rotated[position]!;
      const slot = slotOf(blocks, position);
      keys.set(row.slice(numHeads * headDim, numHeads * headDim + keySize), slot * keySize);
      values.set(row.slice(numHeads * headDim + keySize), slot * valueSize);
    }
  });
  return { keys, values };
}

function slotOf(blocks: readonly number[], position: number): number {
  return blocks[Math.floor(position / BLOCK_SIZE)]! * BLOCK_SIZE + (position % BLOCK_SIZE);
}

/** [positions][width]: q and k turned by their position. */
function rotateAll(
  { numHeads, numKvHeads, headDim, vHeadDim, rope }: WgslAttentionLayer,
  history: Float32Array,
  turns: Float32Array,
  half: number,
): number[][] {
  const width = (numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim;
  return Array.from({ length: history.length / width }, (_, position) => {
    const row = [...history.subarray(position * width, (position + 1) * width)];
    if (!rope) return row;
    for (let head = 0; head < numHeads + numKvHeads; head++) {
      for (let i = 0; i < half; i++) {
        const a = head * headDim + (rope.interleaved ? 2 * i : i);
        const b = rope.interleaved ? a + 1 : a + half;
        const angle = turns[position * half + i]!;
        const [x, y] = [row[a]!, row[b]!];
        row[a] = x * Math.cos(angle) - y * Math.sin(angle);
        row[b] = y * Math.cos(angle) + x * Math.sin(angle);
      }
    }
    return row;
  });
}

/** [numHeads][vHeadDim] of the query at `index`. */
function attend(layer: WgslAttentionLayer, rows: readonly number[][], index: number): number[][] {
  const { numHeads, numKvHeads, headDim, vHeadDim, scale, window, softcap } = layer;
  const keyStart = numHeads * headDim;
  const valueStart = keyStart + numKvHeads * headDim;
  const visible = rows.slice(window === 0 ? 0 : Math.max(0, index + 1 - window), index + 1);
  return Array.from({ length: numHeads }, (_, head) => {
    const kvHead = Math.floor((head * numKvHeads) / numHeads);
    const scores = visible.map((row) => {
      let sum = 0;
      for (let i = 0; i < headDim; i++) sum += rows[index]![head * headDim + i]! * row[keyStart + kvHead * headDim + i]!;
      return softcap === 0 ? sum * scale : softcap * Math.tanh((sum * scale) / softcap);
    });
    const weights = scores.map((score) => Math.exp(score - Math.max(...scores)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return Array.from({ length: vHeadDim }, (_, i) =>
      visible.reduce((sum, row, j) => sum + (weights[j]! / total) * row[valueStart + kvHead * vHeadDim + i]!, 0),
    );
  });
}

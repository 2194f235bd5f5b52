/** A kernel of one's own: the paged cache and the contract. The engine loads this module by URL, in the runner's worker. */
import type { CpuAttention, CpuAttentionConfig, ModelInput } from "@weir/core";
import { attend, rotate } from "./naive-math.js";

export const createCpuAttention = async (config: CpuAttentionConfig): Promise<CpuAttention> => {
  const { layers, limits, kvDtype } = config;
  const { numHeads, numKvHeads, headDim, vHeadDim, scale, window, softcap, sinks, rope } = layers[0]!;
  if (kvDtype !== "f32" || vHeadDim !== headDim || window || softcap || sinks) throw new Error("f32 KV and plain layers only");
  const table = config.ropes[rope]!; // In a Llama every layer is like the first.
  const rowWidth = (numHeads + 2 * numKvHeads) * headDim; // q, k and v heads of a token
  const keyToValue = numKvHeads * headDim; // A slot holds k heads, then v heads.
  const slotWidth = 2 * keyToValue;
  const blockFloats = layers.length * limits.blockSize * slotWidth;
  // The runtime writes q, k, v and reads the output where they lie: in memory that does not move.
  const floats = (count: number): Float32Array => new Float32Array(new SharedArrayBuffer(count * 4));
  const qkv = layers.map(() => floats(limits.maxNumBatchedTokens * rowWidth));
  const output = layers.map(() => floats(limits.maxNumBatchedTokens * numHeads * headDim));
  const cache = floats(limits.numBlocks * blockFloats); // [numBlocks, layers, blockSize, slotWidth]
  const bytes = (block: number): Uint8Array => new Uint8Array(cache.buffer, block * blockFloats * 4, blockFloats * 4);
  let step: ModelInput;

  function runToken(layer: number, seq: number, token: number): void {
    const row = qkv[layer]!.subarray(token * rowWidth, (token + 1) * rowWidth);
    const head = (h: number): Float32Array => row.subarray(h * headDim, (h + 1) * headDim);
    const position = step.positions[token]!;
    for (let h = 0; h < numHeads + numKvHeads; h++) rotate(head(h), table, position);

    const slotAt = (slot: number): number =>
      Math.floor(slot / limits.blockSize) * blockFloats + (layer * limits.blockSize + (slot % limits.blockSize)) * slotWidth;
    const newSlot = step.slotMapping[token]!;
    if (newSlot >= 0) cache.set(row.subarray(numHeads * headDim), slotAt(newSlot));

    const blocks = step.blockTables.subarray(seq * step.maxBlocksPerSeq);
    const slotOf = (p: number): number => blocks[Math.floor(p / limits.blockSize)]! * limits.blockSize + (p % limits.blockSize);
    const slots = Float64Array.from({ length: position + 1 }, (_, p) => slotAt(slotOf(p)));
    for (let h = 0; h < numHeads; h++) {
      const keys = slots.map((at) => at + Math.floor((h * numKvHeads) / numHeads) * headDim);
      attend(head(h), cache, keys, keyToValue, scale, output[layer]!.subarray((token * numHeads + h) * headDim));
    }
  }

  return {
    layout: "naive-f32-v1",
    blockBytes: blockFloats * 4,
    qkv: (layer) => qkv[layer]!,
    output: (layer) => output[layer]!,
    begin: (input) => void (step = input),
    run(layer) {
      for (let s = 0; s < step.numSeqs; s++) for (let t = step.cuSeqlensQ[s]!; t < step.cuSeqlensQ[s + 1]!; t++) runToken(layer, s, t);
    },
    copyBlocks: (pairs) => pairs.forEach((to, i) => i % 2 === 1 && bytes(to).set(bytes(pairs[i - 1]!))),
    readBlock: (block, into) => into.set(bytes(block)),
    writeBlock: (block, from) => bytes(block).set(from),
    memory: () => ({ reservedBytes: cache.byteLength, committedBytes: cache.byteLength }),
    dispose: async () => {},
  };
};

/**
 * The backend's own attention kernel, written to the contract that a user's kernel is written to: rotate and store,
 * then attend, f32. Also a module by itself: `{ backend: "webgpu", module: <its URL> }`.
 */
import { InvalidOptionsError, type CreateWgslAttention, type WgslAttentionConfig, type WgslAttentionLayer } from "@weir/core";
import { pagedAttention } from "../kernels/paged-attention.js";
import { ropeStore } from "../kernels/rope-store.js";

export const createWgslAttention: CreateWgslAttention = ({ layers, limits, kvDtype }: WgslAttentionConfig) => {
  if (kvDtype !== "f32") throw new InvalidOptionsError(`kvDtype is ${kvDtype}; the paged WGSL kernel has f32`);
  layers.forEach(checkLayer);
  return {
    layout: "webgpu-f32-v1",
    plan(index) {
      const layer = layers[index]!;
      const { numKvHeads, headDim, vHeadDim } = layer;
      return {
        keyBlockBytes: limits.blockSize * numKvHeads * headDim * 4,
        valueBlockBytes: limits.blockSize * numKvHeads * vHeadDim * 4,
        dispatches: [ropeStore(layer), pagedAttention(layer, limits.blockSize)],
      };
    },
  };
};

function checkLayer({ numHeads, numKvHeads, headDim, vHeadDim }: WgslAttentionLayer, index: number): void {
  for (const [name, value] of Object.entries({ headDim, vHeadDim })) {
    if (value % 8 === 0 && value >= 16 && value <= 256) continue;
    throw new InvalidOptionsError(`layer ${index}: ${name} is ${value}; the paged WGSL kernel takes multiples of 8 from 16 to 256`);
  }
  if (numHeads % numKvHeads !== 0) {
    throw new InvalidOptionsError(`layer ${index}: ${numHeads} heads do not share ${numKvHeads} KV heads evenly`);
  }
}

/** The backend's own attention as a plug-in: what `attentionKernel` replaces. Its module is `paged-attention.ts`, built. */
import { builtModule, type GraphAttentionKernel } from "@weir/core";

/** Our own attention, one PagedAttention node per layer: `createEngine({ attentionKernel })` replaces it. */
export const pagedAttention: GraphAttentionKernel = {
  name: "paged-attention",
  backend: "cuda",
  module: new URL("./paged-attention.js", builtModule(import.meta.url)).href,
};

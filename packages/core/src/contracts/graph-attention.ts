/**
 * GraphAttention: attention as nodes of a model's ONNX graph. In: the names of a layer's values in the graph and its
 * sizes. Out: the name of the attention's output. Called once per layer while a model is loaded; nothing of it is left
 * when steps run. The default is the backend's own: one PagedAttention node.
 */
import type { ModelLimits } from "./model-input.js";

/** Made by a GraphAttentionKernel for one model. */
export interface GraphAttention {
  /**
   * Adds what rotates q and k, stores k and v into the cache and attends.
   * @returns the name of the output, [T, numHeads * vHeadDim] f16
   * @throws NotSupportedError naming what of the layer it cannot do
   */
  emit(graph: GraphNodes, layer: GraphAttentionLayer, values: GraphAttentionValues): string;
}

/** What a GraphAttentionKernel's module exports under the name `createGraphAttention`. */
export type CreateGraphAttention = (config: GraphAttentionConfig, options?: unknown) => GraphAttention;

/** For what a GraphAttention is made. */
export interface GraphAttentionConfig {
  /** ONNX Runtime's execution provider that will run the nodes. */
  readonly provider: "cuda" | "webgpu";
  readonly limits: ModelLimits;
}

/** The graph under construction. Floats in it are f16. */
export interface GraphNodes {
  /** Adds a node with one output. An input of "" is left out. @returns the output's name */
  node(opType: string, inputs: readonly string[], options?: GraphNodeOptions): string;
  /** A constant, stored as f16. A second one of the same name is taken to be the same. @returns its name */
  constant(name: string, shape: readonly number[], values: Float32Array): string;
}

export interface GraphNodeOptions {
  /** "" (ONNX, the default) or "com.microsoft". */
  readonly domain?: "" | "com.microsoft";
  /** Whole numbers become INT, others FLOAT: `{ float: 1 }` for a whole-numbered float. */
  readonly attributes?: Readonly<Record<string, GraphAttribute>>;
  /** Shown in profiles. */
  readonly name?: string;
}

export type GraphAttribute = number | string | readonly number[] | { readonly float: number };

/** One layer's attention, resolved: no tensor names. */
export interface GraphAttentionLayer {
  /** From 0. */
  readonly index: number;
  readonly numHeads: number;
  readonly numKvHeads: number;
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly scale: number;
  readonly causal: boolean;
  /** Visible keys per query, itself included; 0 = all. */
  readonly window: number;
  /** 0 = off. */
  readonly softcap: number;
  /** Absent: no rotary embedding in this layer. */
  readonly rope?: { readonly rotaryDim: number; readonly interleaved: boolean };
}

/** Names of values in the graph. */
export interface GraphAttentionValues {
  /** [T, (numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim] f16: q heads, k heads, v heads of each token, not rotated */
  readonly qkv: string;
  /** [numBlocks, blockSize, numKvHeads, headDim] f16, written in place */
  readonly keyCache: string;
  /** [numBlocks, blockSize, numKvHeads, vHeadDim] f16, written in place */
  readonly valueCache: string;
  /** [B + 1] i32, prefix sum of new tokens */
  readonly cuSeqlensQ: string;
  /** [B] i32, tokens already cached */
  readonly pastLens: string;
  /** [B, maxBlocksPerSeq] i32 */
  readonly blockTables: string;
  /** [2] i32 in CPU memory: most new tokens of a sequence, most tokens of one, new ones included */
  readonly bounds: string;
  /** [maxModelLen, rotaryDim / 2] f16; present with `rope` */
  readonly cos?: string;
  readonly sin?: string;
}

/**
 * GraphCut: attention is nodes of the graph, so the model is one graph over a paged KV cache that the caller binds.
 * In: the emitter's calls and a GraphAttention that writes the nodes. Out: the model and the names of what it reads.
 */
import { NotSupportedError, ropeTables } from "@weir/core";
import type { AttentionSpec, GraphAttention, GraphAttentionLayer, GraphNodes, ModelSpec, RopeSpec } from "@weir/core";
import type { AfterAttention, AttentionCut, BeforeAttention } from "./attention-cut.js";
import { GraphScope } from "./graph-scope.js";
import type { LoweringWeights } from "./graph-scope.js";

export interface GraphCutOptions {
  readonly attention: GraphAttention;
  /** Positions in the rotary tables. */
  readonly maxModelLen: number;
  readonly blockSize: number;
  readonly numBlocks: number;
  /** Row stride of `block_tables`. */
  readonly maxBlocksPerSeq: number;
}

/** A layer's half of the KV cache: graph input "key_cache.i" or "value_cache.i", read and written in place. */
export interface CacheTensor {
  readonly name: string;
  /** [numBlocks, blockSize, numKvHeads, headDim] f16 */
  readonly shape: readonly number[];
}

/**
 * Inputs besides the caches: input_ids [T], cu_seqlens_q [B + 1], past_lens [B], block_tables [B, maxBlocksPerSeq],
 * attention_bounds [2] (most new tokens of a sequence, most tokens of one; read on the CPU), row_indices [R]; all i32.
 * Output: logits [R, vocabSize] f32.
 */
export interface WholeGraph {
  /** Serialized ONNX model; its weights stay in their files. */
  readonly model: Uint8Array;
  /** What the model's external data paths are relative to. */
  readonly externalDataFolder: string;
  /** Keys and values of layer 0, of layer 1, ... */
  readonly caches: readonly CacheTensor[];
}

export class GraphCut implements AttentionCut {
  readonly #spec: ModelSpec;
  readonly #options: GraphCutOptions;
  readonly #scope: GraphScope;
  readonly #caches: CacheTensor[] = [];
  #whole: WholeGraph | undefined;

  constructor(spec: ModelSpec, weights: LoweringWeights, options: GraphCutOptions) {
    this.#spec = spec;
    this.#options = options;
    this.#scope = new GraphScope("model", weights, "f16");
  }

  /** Valid once the emitter has ended. */
  get whole(): WholeGraph {
    return this.#whole!;
  }

  begin(): GraphScope {
    const { graph } = this.#scope;
    graph.input("input_ids", "i32", ["T"]);
    graph.input("cu_seqlens_q", "i32", ["B+1"]);
    graph.input("past_lens", "i32", ["B"]);
    graph.input("block_tables", "i32", ["B", this.#options.maxBlocksPerSeq]);
    graph.input("attention_bounds", "i32", [2]);
    graph.input("row_indices", "i32", ["R"]);
    return this.#scope;
  }

  attend(layer: number, attention: AttentionSpec, { scope, qkv, residual }: BeforeAttention): AfterAttention {
    const { numKvHeads, headDim, vHeadDim, sinks } = attention;
    if (sinks !== undefined) throw new NotSupportedError(`layer ${layer} has attention sinks, which whole graphs do not have yet`);
    const output = this.#options.attention.emit(nodesOf(scope), describe(layer, attention), {
      qkv,
      keyCache: this.#cache(`key_cache.${layer}`, numKvHeads, headDim),
      valueCache: this.#cache(`value_cache.${layer}`, numKvHeads, vHeadDim),
      cuSeqlensQ: "cu_seqlens_q",
      pastLens: "past_lens",
      blockTables: "block_tables",
      bounds: "attention_bounds",
      ...(attention.rope ? this.#tables(attention.rope) : {}),
    });
    return { scope, attention: output, residual };
  }

  end({ graph, externalDataFolder }: GraphScope, logits: string): void {
    // On the device: the host would need longer for it than the wider rows need to travel.
    const rows = graph.node("Cast", [logits], { attributes: { to: 1 }, name: "logits" });
    graph.output("logits", "f32", ["R", this.#spec.vocabSize], rows);
    this.#whole = { model: graph.build(), externalDataFolder, caches: this.#caches };
  }

  #cache(name: string, numKvHeads: number, headDim: number): string {
    const { numBlocks, blockSize } = this.#options;
    const shape = [numBlocks, blockSize, numKvHeads, headDim];
    this.#caches.push({ name, shape });
    return this.#scope.graph.input(name, "f16", shape);
  }

  /** Layers with equal rotary settings share their tables. */
  #tables(rope: RopeSpec): { readonly cos: string; readonly sin: string } {
    const { maxModelLen } = this.#options;
    const key = JSON.stringify(rope);
    const { cos, sin } = ropeTables(rope, maxModelLen);
    const shape = [maxModelLen, rope.rotaryDim / 2];
    return { cos: this.#scope.floats(`cos${key}`, shape, cos), sin: this.#scope.floats(`sin${key}`, shape, sin) };
  }
}

function describe(index: number, attention: AttentionSpec): GraphAttentionLayer {
  const { numHeads, numKvHeads, headDim, vHeadDim, scale, causal, window = 0, softcap = 0, rope } = attention;
  const rotary = rope ? { rope: { rotaryDim: rope.rotaryDim, interleaved: rope.interleaved ?? false } } : {};
  return { index, numHeads, numKvHeads, headDim, vHeadDim, scale, causal, window, softcap, ...rotary };
}

/** What an attention may do to the graph. */
function nodesOf(scope: GraphScope): GraphNodes {
  return {
    node: (opType, inputs, options) => scope.graph.node(opType, inputs, options),
    constant: (name, shape, values) => scope.floats(name, shape, values),
  };
}

/**
 * AttentionCut: what becomes of attention when a model is lowered. The emitter of layers asks it at each layer to
 * turn q, k, v into attention output. On the CPU a cut ends the graph there and the next one begins with the output
 * (`SegmentCut`); where the runtime has an attention operator it adds a node and goes on in the same graph (`GraphCut`).
 */
import type { AttentionSpec } from "@weir/core";
import type { GraphScope } from "./graph-scope.js";

/** The state of a graph before attention. Values are names in `scope`'s graph. */
export interface BeforeAttention {
  readonly scope: GraphScope;
  /** [T, qkvFeatures] in the graph's float type */
  readonly qkv: string;
  /** [T, hidden] */
  readonly residual: string;
}

/** The state after it; `scope` may be another graph. */
export interface AfterAttention {
  readonly scope: GraphScope;
  /** [T, numHeads * vHeadDim] */
  readonly attention: string;
  /** [T, hidden] */
  readonly residual: string;
}

export interface AttentionCut {
  /** The graph that the embedding goes into. */
  begin(): GraphScope;
  /** Called once per layer, in order. */
  attend(layer: number, attention: AttentionSpec, at: BeforeAttention): AfterAttention;
  /** Called last; `logits` is [R, vocabSize] in the graph's float type. */
  end(scope: GraphScope, logits: string): void;
}

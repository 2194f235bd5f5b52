/**
 * q, k and v of a layer, packed [rows, numHeads * headDim + numKvHeads * (headDim + vHeadDim)] f32: q heads, k heads,
 * v heads. q and k norms are applied here, rotary embedding is not: the attention kernel rotates.
 */
import type { AttentionSpec, NormSpec } from "@weir/core";
import type { LinearGroup } from "../weights/linear-groups.js";
import { emitJoinedGroup } from "./emit-linear.js";
import { emitNorm } from "./emit-norm.js";
import type { GraphScope } from "./graph-scope.js";

export function emitAttentionInputs(scope: GraphScope, attention: AttentionSpec, group: LinearGroup, normed: string): string {
  const packed = emitJoinedGroup(scope, group, { value: normed });
  const { numHeads, numKvHeads, headDim, qNorm, kNorm } = attention;
  if (!qNorm && !kNorm) return packed;
  const sizes = scope.integers([numHeads * headDim, numKvHeads * headDim, numKvHeads * attention.vHeadDim]);
  const [q, k, v] = scope.graph.nodes("Split", [packed, sizes], {
    attributes: { axis: 1 },
    outputs: ["q", "k", "v"].map((name) => `${group.key}.${name}`),
  }) as [string, string, string];
  const heads = [emitHeadNorm(scope, q, qNorm, numHeads, headDim), emitHeadNorm(scope, k, kNorm, numKvHeads, headDim), v];
  return scope.graph.node("Concat", heads, { attributes: { axis: 1 } });
}

/** Each head normed by itself. */
function emitHeadNorm(scope: GraphScope, x: string, norm: NormSpec | undefined, heads: number, headDim: number): string {
  if (!norm) return x;
  const { graph } = scope;
  const split = graph.node("Reshape", [x, scope.integers([-1, heads, headDim])]);
  return graph.node("Reshape", [emitNorm(scope, split, norm), scope.integers([-1, heads * headDim])]);
}

/** Width of the packed rows. */
export function qkvFeatures({ numHeads, numKvHeads, headDim, vHeadDim }: AttentionSpec): number {
  return (numHeads + numKvHeads) * headDim + numKvHeads * vHeadDim;
}

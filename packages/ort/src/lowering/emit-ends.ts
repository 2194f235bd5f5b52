/** The two ends of a model: token ids -> [tokens, hidden] f32, and [rows, hidden] -> logits [rows, vocabSize] f32. */
import type { ModelSpec } from "@weir/core";
import type { LinearGroup } from "../weights/linear-groups.js";
import { emitJoinedGroup } from "./emit-linear.js";
import type { GraphScope } from "./graph-scope.js";

export function emitEmbedding(scope: GraphScope, spec: ModelSpec, ids: string): string {
  const { graph } = scope;
  const { embedding } = scope.weights.prepared;
  let rows = graph.node("Gather", [scope.stored("embedding", embedding.weight), ids], { name: "embedding" });
  if (embedding.kind === "int8") {
    const scales = graph.node("Gather", [scope.stored("embedding.scales", embedding.scales), ids]);
    rows = graph.node("Mul", [graph.node("Cast", [rows], { attributes: { to: 1 } }), scales]);
  }
  const { scale = 1 } = spec.embedding;
  return scale === 1 ? rows : graph.node("Mul", [rows, scope.scalar(scale)]);
}

export function emitHead(scope: GraphScope, spec: ModelSpec, group: LinearGroup, normed: string): string {
  const { graph } = scope;
  const logits = emitJoinedGroup(scope, group, { value: normed });
  const cap = spec.head.softcap;
  if (cap === undefined) return logits;
  const bounded = graph.node("Tanh", [graph.node("Div", [logits, scope.scalar(cap)])]);
  return graph.node("Mul", [bounded, scope.scalar(cap)]);
}

/** Rows `indices` of a [tokens, features] value. */
export function emitGatherRows({ graph }: GraphScope, value: string, indices: string): string {
  return graph.node("Gather", [value, indices], { attributes: { axis: 0 } });
}

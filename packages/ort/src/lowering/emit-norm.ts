/** Norms, alone or together with the residual addition before them. In and out: [rows, hidden] f32. */
import type { NormSpec } from "@weir/core";
import { float } from "../graph/graph-builder.js";
import type { GraphScope } from "./graph-scope.js";

export function emitNorm(scope: GraphScope, x: string, norm: NormSpec): string {
  const attributes = { axis: -1, epsilon: float(norm.epsilon) };
  // SimplifiedLayerNormalization is RMSNorm; ONNX Runtime registers it in the default domain.
  const opType = norm.kind === "rms" ? "SimplifiedLayerNormalization" : "LayerNormalization";
  return scope.graph.node(opType, [x, ...normWeights(scope, norm)], { attributes });
}

/** residual' = residual + delta and norm(residual'), in one pass. */
export function emitAddNorm(scope: GraphScope, residual: string, delta: string, norm: NormSpec): { normed: string; residual: string } {
  const opType = norm.kind === "rms" ? "SkipSimplifiedLayerNormalization" : "SkipLayerNormalization";
  const outputs = [`normed(${delta})`, "", "", `residual(${delta})`];
  scope.graph.nodes(opType, [residual, delta, ...normWeights(scope, norm)], {
    domain: "com.microsoft",
    attributes: { epsilon: float(norm.epsilon) },
    outputs,
  });
  return { normed: outputs[0]!, residual: outputs[3]! };
}

function normWeights(scope: GraphScope, { weight, bias, onePlus }: NormSpec): string[] {
  const stored = scope.vectorOf(weight);
  const factor = scope.vector(weight, onePlus ? stored.map((value) => 1 + value) : stored);
  return bias === undefined ? [factor] : [factor, scope.vector(bias, scope.vectorOf(bias))];
}

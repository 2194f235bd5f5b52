/** The MLP of a layer: down(act(gate(x)) * up(x)) or down(act(up(x))). In and out: [rows, hidden] f32. */
import { InternalError } from "@weir/core";
import type { MlpSpec } from "@weir/core";
import { float } from "../graph/graph-builder.js";
import type { LayerGroups } from "../weights/linear-groups.js";
import { emitGroup, emitJoinedGroup, scaled } from "./emit-linear.js";
import type { Activation } from "./emit-linear.js";
import type { GraphScope } from "./graph-scope.js";

export function emitMlp(scope: GraphScope, mlp: MlpSpec, groups: LayerGroups, normed: string): string {
  return emitJoinedGroup(scope, groups.down, emitHidden(scope, mlp, groups, normed));
}

/** [rows, intermediate], with a row factor left to `down`, which multiplies its own one in anyway. */
function emitHidden(scope: GraphScope, mlp: MlpSpec, groups: LayerGroups, normed: string): Activation {
  // NaN in `normed` comes from the residual and stays there: no guard.
  const [first, second] = emitGroup(scope, groups.up, { value: normed }, false);
  if (!first) throw new InternalError(`${groups.up.key} has no matrix product`);
  const activated = emitActivation(scope, mlp.activation, scaled(scope, first));
  if (!second) return { value: activated };
  const value = scope.graph.node("Mul", [activated, second.value]);
  return second.rowScale === undefined ? { value } : { value, rowScale: second.rowScale };
}

function emitActivation({ graph }: GraphScope, activation: MlpSpec["activation"], x: string): string {
  switch (activation) {
    case "silu":
      // x * sigmoid(alpha x)
      return graph.node("QuickGelu", [x], { domain: "com.microsoft", attributes: { alpha: float(1) } });
    case "gelu":
      return graph.node("Gelu", [x], { attributes: { approximate: "none" } });
    case "gelu-tanh":
      return graph.node("Gelu", [x], { attributes: { approximate: "tanh" } });
    case "relu":
      return graph.node("Relu", [x]);
  }
}

/**
 * Lowers a ModelSpec: the one place that says what a decoder computes. In: spec, weights, and a cut that decides
 * what attention becomes. Out: whatever the cut builds. Pre-norm blocks: x += attention(norm(x)); x += mlp(norm(x)).
 */
import type { ModelSpec } from "@weir/core";
import { linearGroups } from "../weights/linear-groups.js";
import type { AttentionCut } from "./attention-cut.js";
import { emitAttentionInputs } from "./emit-attention-inputs.js";
import { emitEmbedding, emitGatherRows, emitHead } from "./emit-ends.js";
import { emitJoinedGroup } from "./emit-linear.js";
import { emitMlp } from "./emit-mlp.js";
import { emitAddNorm, emitNorm } from "./emit-norm.js";
import type { LoweringWeights } from "./graph-scope.js";
import { GraphCut } from "./graph-cut.js";
import type { GraphCutOptions, WholeGraph } from "./graph-cut.js";
import type { Segment } from "./segment.js";
import { SegmentCut } from "./segment-cut.js";

/** The model as segments around attention: numLayers + 1 of them. */
export function lowerToSegments(spec: ModelSpec, weights: LoweringWeights): readonly Segment[] {
  const cut = new SegmentCut(spec, weights);
  lowerModel(spec, cut);
  return cut.segments;
}

/** The model as one graph in f16, attention being nodes of it. */
export function lowerToGraph(spec: ModelSpec, weights: LoweringWeights, options: GraphCutOptions): WholeGraph {
  const cut = new GraphCut(spec, weights, options);
  lowerModel(spec, cut);
  return cut.whole;
}

export function lowerModel(spec: ModelSpec, cut: AttentionCut): void {
  const groups = linearGroups(spec);
  let scope = cut.begin();
  let residual = emitEmbedding(scope, spec, "input_ids");
  let delta: string | undefined; // the last MLP's output, added by the next norm
  spec.layers.forEach((layer, index) => {
    const { qkv, o } = groups.layers[index]!;
    let normed = "";
    if (delta === undefined) normed = emitNorm(scope, residual, layer.attentionNorm);
    else ({ normed, residual } = emitAddNorm(scope, residual, delta, layer.attentionNorm));
    const before = { scope, qkv: emitAttentionInputs(scope, layer.attention, qkv, normed), residual };
    let attention: string;
    ({ scope, attention, residual } = cut.attend(index, layer.attention, before));
    if (index === spec.layers.length - 1) {
      // Nothing after the last attention looks at other rows: only those with logits go on.
      attention = emitGatherRows(scope, attention, "row_indices");
      residual = emitGatherRows(scope, residual, "row_indices");
    }
    const projected = emitJoinedGroup(scope, o, { value: attention });
    ({ normed, residual } = emitAddNorm(scope, residual, projected, layer.mlpNorm));
    delta = emitMlp(scope, layer.mlp, groups.layers[index]!, normed);
  });
  const { normed } = emitAddNorm(scope, residual, delta!, spec.finalNorm);
  cut.end(scope, emitHead(scope, spec, groups.head, normed));
}

/**
 * A decoder in plain TypeScript, f64 inside: what the segments are compared with. One sequence, no rotary embedding
 * (the segments have none either). In: spec, weights, token ids. Out: logits of every position.
 */
import type { AttentionSpec, LinearSpec, MlpSpec, ModelSpec, NormSpec } from "@weir/core";

/** [outFeatures, inFeatures] of a linear, and vectors by name. */
export interface ReferenceWeights {
  weight(linear: LinearSpec): ArrayLike<number>;
  vector(name: string): ArrayLike<number>;
  /** One row of the embedding. */
  embedding(id: number): ArrayLike<number>;
}

type Row = number[];

/** @returns [tokens][vocabSize] */
export function referenceForward(spec: ModelSpec, weights: ReferenceWeights, ids: readonly number[]): Row[] {
  const { scale = 1 } = spec.embedding;
  let x: Row[] = ids.map((id) => Array.from(weights.embedding(id), (value) => value * scale));
  for (const { attentionNorm, attention, mlpNorm, mlp } of spec.layers) {
    const packed = x.map((row) => qkvRow(attention, weights, norm(weights, attentionNorm, row)));
    const attended = causalAttention(attention, packed);
    x = x.map((row, t) => add(row, dense(weights, attention.o, attended[t]!)));
    x = x.map((row) => add(row, mlpRow(mlp, weights, norm(weights, mlpNorm, row))));
  }
  const { softcap } = spec.head;
  const logits = x.map((row) => dense(weights, spec.head.linear, norm(weights, spec.finalNorm, row)));
  return softcap === undefined ? logits : logits.map((row) => row.map((value) => softcap * Math.tanh(value / softcap)));
}

/** Causal attention of one sequence over packed rows of q, k, v. @returns [tokens][numHeads * vHeadDim] */
export function causalAttention(attention: AttentionSpec, packed: readonly ArrayLike<number>[]): Row[] {
  const { numHeads, numKvHeads, headDim, vHeadDim, scale } = attention;
  const keys = numHeads * headDim;
  const values = keys + numKvHeads * headDim;
  return packed.map((row, t) =>
    Array.from({ length: numHeads }, (_, head) => {
      const group = Math.floor((head * numKvHeads) / numHeads);
      const scores = packed.slice(0, t + 1).map((other) => {
        let dot = 0;
        for (let i = 0; i < headDim; i++) dot += row[head * headDim + i]! * other[keys + group * headDim + i]!;
        return dot * scale;
      });
      const largest = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - largest));
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return Array.from({ length: vHeadDim }, (_, i) =>
        weights.reduce((sum, weight, s) => sum + (weight / total) * packed[s]![values + group * vHeadDim + i]!, 0),
      );
    }).flat(),
  );
}

function qkvRow(attention: AttentionSpec, weights: ReferenceWeights, x: Row): Row {
  const { q, k, v, headDim, qNorm, kNorm } = attention;
  const heads = (row: Row, spec: NormSpec | undefined): Row => {
    if (!spec) return row;
    return Array.from({ length: row.length / headDim }, (_, h) => norm(weights, spec, row.slice(h * headDim, (h + 1) * headDim))).flat();
  };
  return [...heads(dense(weights, q, x), qNorm), ...heads(dense(weights, k, x), kNorm), ...dense(weights, v, x)];
}

function mlpRow(mlp: MlpSpec, weights: ReferenceWeights, x: Row): Row {
  const up = dense(weights, mlp.up, x);
  const hidden = mlp.gate
    ? dense(weights, mlp.gate, x).map((value, i) => activate(mlp, value) * up[i]!)
    : up.map((value) => activate(mlp, value));
  return dense(weights, mlp.down, hidden);
}

function activate({ activation }: MlpSpec, x: number): number {
  if (activation === "silu") return x / (1 + Math.exp(-x));
  if (activation === "relu") return Math.max(0, x);
  if (activation === "gelu") return 0.5 * x * (1 + erf(x / Math.SQRT2));
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

/** Taylor series; plenty for |x| < 5. */
function erf(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
}

function dense(weights: ReferenceWeights, linear: LinearSpec, x: Row): Row {
  const matrix = weights.weight(linear);
  const bias = linear.bias === undefined ? undefined : weights.vector(linear.bias);
  return Array.from({ length: linear.outFeatures }, (_, row) => {
    let sum = bias?.[row] ?? 0;
    for (let i = 0; i < linear.inFeatures; i++) sum += matrix[row * linear.inFeatures + i]! * x[i]!;
    return sum;
  });
}

function norm(weights: ReferenceWeights, spec: NormSpec, x: Row): Row {
  const mean = spec.kind === "layer" ? x.reduce((sum, value) => sum + value, 0) / x.length : 0;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const factor = weights.vector(spec.weight);
  const bias = spec.bias === undefined ? undefined : weights.vector(spec.bias);
  const plus = spec.onePlus ? 1 : 0;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + spec.epsilon)) * (factor[i]! + plus) + (bias?.[i] ?? 0));
}

function add(a: Row, b: Row): Row {
  return a.map((value, i) => value + b[i]!);
}

/**
 * Every tensor that a ModelSpec needs, with its shape. In: a spec. Out: name -> shape.
 * Called by the checker of weights, the statistics and the random weight source.
 */
import type { LayerSpec, LinearSpec, ModelSpec, NormSpec } from "../contracts/index.js";

export interface NeededTensor {
  readonly name: string;
  /** Exact shape; of a packed weight (rowOffset) the first dimension is the least that must be there. */
  readonly shape: readonly number[];
  readonly packed: boolean;
  readonly kind: "embedding" | "linear" | "bias" | "norm" | "sinks";
}

/** Each tensor once, in the order of the computation; a tied head is the embedding. */
export function specTensors(spec: ModelSpec): ReadonlyMap<string, NeededTensor> {
  const tensors = new Map<string, NeededTensor>();
  const add = (tensor: NeededTensor): void => {
    const seen = tensors.get(tensor.name);
    // Several linears may share one packed tensor: it must hold the rows of all.
    if (!seen || (tensor.packed && tensor.shape[0]! > seen.shape[0]!)) tensors.set(tensor.name, tensor);
  };
  add({ name: spec.embedding.weight, shape: [spec.vocabSize, spec.hiddenSize], packed: false, kind: "embedding" });
  for (const layer of spec.layers) layerTensors(layer, spec.hiddenSize).forEach(add);
  normTensors(spec.finalNorm, spec.hiddenSize).forEach(add);
  linearTensors(spec.head.linear).forEach(add);
  return tensors;
}

function layerTensors(layer: LayerSpec, hidden: number): NeededTensor[] {
  const { attention, mlp } = layer;
  const linears = [attention.q, attention.k, attention.v, attention.o, ...(mlp.gate ? [mlp.gate] : []), mlp.up, mlp.down];
  return [
    ...normTensors(layer.attentionNorm, hidden),
    ...linears.flatMap(linearTensors),
    ...(attention.qNorm ? normTensors(attention.qNorm, attention.headDim) : []),
    ...(attention.kNorm ? normTensors(attention.kNorm, attention.headDim) : []),
    ...(attention.sinks ? [vector(attention.sinks, attention.numHeads, "sinks")] : []),
    ...normTensors(layer.mlpNorm, hidden),
  ];
}

function linearTensors(linear: LinearSpec): NeededTensor[] {
  const { inFeatures, outFeatures, rowOffset = 0 } = linear;
  const packed = linear.rowOffset !== undefined;
  const rows = rowOffset + outFeatures;
  const weight: NeededTensor = {
    name: linear.weight,
    shape: linear.transposed ? [inFeatures, rows] : [rows, inFeatures],
    packed,
    kind: "linear",
  };
  return linear.bias === undefined ? [weight] : [weight, { ...vector(linear.bias, rows, "bias"), packed }];
}

function normTensors(norm: NormSpec, size: number): NeededTensor[] {
  const weight = vector(norm.weight, size, "norm");
  return norm.bias === undefined ? [weight] : [weight, vector(norm.bias, size, "bias")];
}

function vector(name: string, size: number, kind: NeededTensor["kind"]): NeededTensor {
  return { name, shape: [size], packed: false, kind };
}

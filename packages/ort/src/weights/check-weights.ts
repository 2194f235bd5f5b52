/**
 * Do the tensors fit the spec? Looks at names, shapes and dtypes only, so that a wrong file is refused before
 * anything large is allocated. (The opener of model folders checks more, e.g. tensors that belong nowhere.)
 */
import { ModelLoadError } from "@weir/core";
import type { LinearSpec, ModelSpec, NormSpec, WeightSource } from "@weir/core";
import { allGroups, linearGroups } from "./linear-groups.js";
import { WeightReader } from "./weight-reader.js";

/** @throws ModelLoadError naming the tensor, what it is and what it must be */
export function checkWeights(spec: ModelSpec, source: WeightSource): void {
  const reader = new WeightReader(source);
  const { hiddenSize } = spec;
  checkShape(reader, spec.embedding.weight, [spec.vocabSize, hiddenSize]);
  for (const { attentionNorm, attention, mlpNorm } of spec.layers) {
    for (const norm of [attentionNorm, mlpNorm]) checkNorm(reader, norm, hiddenSize);
    for (const norm of [attention.qNorm, attention.kNorm]) if (norm) checkNorm(reader, norm, attention.headDim);
  }
  checkNorm(reader, spec.finalNorm, hiddenSize);
  for (const part of allGroups(linearGroups(spec)).flatMap((group) => group.parts)) checkLinear(reader, part);
}

function checkLinear(reader: WeightReader, { weight, bias, inFeatures, outFeatures, transposed, rowOffset }: LinearSpec): void {
  const rows = (rowOffset ?? 0) + outFeatures;
  const packedAxis = rowOffset === undefined ? -1 : transposed ? 1 : 0;
  checkShape(reader, weight, transposed ? [inFeatures, rows] : [rows, inFeatures], packedAxis);
  if (bias !== undefined) checkShape(reader, bias, [rows], rowOffset === undefined ? -1 : 0);
}

function checkNorm(reader: WeightReader, { weight, bias }: NormSpec, size: number): void {
  checkShape(reader, weight, [size]);
  if (bias !== undefined) checkShape(reader, bias, [size]);
}

/** @param packedAxis axis that may be longer, because other linears have their rows there too */
function checkShape(reader: WeightReader, name: string, wanted: readonly number[], packedAxis = -1): void {
  const { shape } = reader.info(name);
  const fits =
    shape.length === wanted.length && shape.every((size, axis) => size === wanted[axis] || (axis === packedAxis && size > wanted[axis]!));
  if (!fits) throw new ModelLoadError(`tensor ${name} has shape [${shape.join(", ")}]; the model needs [${wanted.join(", ")}]`);
}

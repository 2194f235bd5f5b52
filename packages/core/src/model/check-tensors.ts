/**
 * Do the weights fit the spec? Missing, extra, wrongly shaped or non-float tensors are ModelLoadErrors naming
 * the tensor. Looks at names, shapes and dtypes only; reads no data. Called when a model is opened.
 */
import type { ModelSpec, StoredScheme, TensorDtype, TensorInfo } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { type NeededTensor, specTensors } from "./spec-tensors.js";

/**
 * @param ignored further tensors that may be there
 * @returns the scheme that most of the weight bytes are stored in
 * @throws ModelLoadError
 */
export function checkTensors(spec: ModelSpec, tensors: ReadonlyMap<string, TensorInfo>, ignored?: RegExp): StoredScheme {
  const needed = specTensors(spec);
  const bytes: Record<StoredScheme, number> = { f32: 0, f16: 0, bf16: 0, int8: 0, int4: 0 };
  for (const need of needed.values()) {
    const tensor = tensors.get(need.name);
    if (!tensor) throw new ModelLoadError(`tensor ${need.name} is missing; the config asks for shape [${need.shape.join(", ")}]`);
    checkShape(need, tensor);
    const scheme = STORED[tensor.dtype];
    if (!scheme) throw new ModelLoadError(`tensor ${need.name} has dtype ${tensor.dtype}; it must be F32, F16 or BF16`);
    bytes[scheme] += tensor.byteLength;
  }
  for (const name of tensors.keys()) {
    if (needed.has(name) || ignored?.test(name) || (spec.head.tied && name === UNUSED_HEAD)) continue;
    throw new ModelLoadError(`tensor ${name} is in the weights but no part of a ${spec.architecture} model with this config`);
  }
  return (Object.keys(bytes) as StoredScheme[]).reduce((most, scheme) => (bytes[scheme] > bytes[most] ? scheme : most), "f32");
}

/** Tied models are sometimes saved with the copy. */
const UNUSED_HEAD = "lm_head.weight";

const STORED: Partial<Record<TensorDtype, StoredScheme>> = { F32: "f32", F16: "f16", BF16: "bf16" };

function checkShape(need: NeededTensor, tensor: TensorInfo): void {
  const { shape } = tensor;
  // In a packed tensor the dimension of the rows may be larger than what one linear needs.
  const fits =
    shape.length === need.shape.length &&
    shape.every((size, axis) => size === need.shape[axis] || (need.packed && size > need.shape[axis]!));
  if (fits) return;
  const hint = need.kind === "embedding" ? " (vocab_size, hidden_size)" : "";
  throw new ModelLoadError(`tensor ${need.name} has shape [${shape.join(", ")}]; the config asks for [${need.shape.join(", ")}]${hint}`);
}

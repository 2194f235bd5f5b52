/**
 * Tensors as f32, whatever they are stored in. In: a WeightSource and a name. Out: values in a buffer of the caller.
 * Called by runners and quantizers; reads in slices, so that no second copy of a large tensor is held.
 */
import type { TensorDtype, TensorInfo, WeightSource } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";

/** Bytes read at once where values are converted. */
const SLICE_BYTES = 4 * 2 ** 20;

/**
 * The whole tensor, or `count` elements from `first` on.
 * @returns [count] f32, newly allocated
 * @throws ModelLoadError when the tensor is missing or not of a float type
 */
export async function readTensor(
  source: WeightSource,
  name: string,
  range: { readonly first?: number; readonly count?: number } = {},
): Promise<Float32Array> {
  const tensor = source.tensors.get(name);
  if (!tensor) throw new ModelLoadError(`tensor ${name} is missing in the weights`);
  const first = range.first ?? 0;
  const into = new Float32Array(range.count ?? elementCount(tensor) - first);
  await readTensorInto(source, name, first, into);
  return into;
}

/** Fills `into` with the tensor's elements from `first` on. */
export async function readTensorInto(source: WeightSource, name: string, first: number, into: Float32Array): Promise<void> {
  const tensor = source.tensors.get(name);
  const elementBytes = tensor && ELEMENT_BYTES[tensor.dtype];
  if (!elementBytes) throw new ModelLoadError(`tensor ${name} is ${tensor?.dtype ?? "missing"}; it must be F32, F16 or BF16`);
  if (tensor.dtype === "F32") {
    await source.read(name, first * 4, new Uint8Array(into.buffer, into.byteOffset, into.byteLength));
    return;
  }
  const slice = new Uint16Array(Math.min(into.length, SLICE_BYTES / 2));
  for (let done = 0; done < into.length; done += slice.length) {
    const part = slice.subarray(0, Math.min(slice.length, into.length - done));
    await source.read(name, (first + done) * 2, new Uint8Array(part.buffer, 0, part.byteLength));
    (tensor.dtype === "BF16" ? widenBf16 : widenF16)(part, into.subarray(done, done + part.length));
  }
}

/** bf16 is the upper half of an f32. */
export function widenBf16(from: Uint16Array, into: Float32Array): void {
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < from.length; i++) bits[i] = from[i]! << 16;
}

export function widenF16(from: Uint16Array, into: Float32Array): void {
  for (let i = 0; i < from.length; i++) into[i] = halfToFloat(from[i]!);
}

function halfToFloat(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const mantissa = half & 1023;
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : NaN;
  // 2^-24 per unit of a subnormal's mantissa, 2^-25 * 2^exponent of a normal's.
  return exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (mantissa + 1024) * 2 ** (exponent - 25);
}

const ELEMENT_BYTES: Partial<Record<TensorDtype, number>> = { F32: 4, F16: 2, BF16: 2 };

function elementCount(tensor: TensorInfo): number {
  return tensor.shape.reduce((product, size) => product * size, 1);
}

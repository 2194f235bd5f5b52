/**
 * WeightReader: a WeightSource's tensors as f32, read in pieces through one small buffer.
 * In: tensor names or LinearSpecs. Out: f32 arrays the caller owns. Shapes have been checked before.
 */
import { ModelLoadError } from "@weir/core";
import type { LinearSpec, TensorInfo, WeightSource } from "@weir/core";
import { convertToF32, FLOAT_BYTES, transpose } from "./convert.js";

const PIECE_BYTES = 4 << 20;

export class WeightReader {
  readonly source: WeightSource;
  readonly #piece = new Uint8Array(PIECE_BYTES);

  constructor(source: WeightSource) {
    this.source = source;
  }

  /** @throws ModelLoadError when the tensor is missing or not of a float type */
  info(name: string): TensorInfo {
    const info = this.source.tensors.get(name);
    if (!info) throw new ModelLoadError(`tensor ${name} is missing`);
    if (!FLOAT_BYTES[info.dtype]) throw new ModelLoadError(`tensor ${name} has dtype ${info.dtype}; it must be F32, F16 or BF16`);
    return info;
  }

  /** `count` elements from element `start` on, as f32. */
  async elements(name: string, start: number, count: number): Promise<Float32Array> {
    const { dtype } = this.info(name);
    const size = FLOAT_BYTES[dtype]!;
    const out = new Float32Array(count);
    const step = PIECE_BYTES / size;
    for (let done = 0; done < count; done += step) {
      const piece = this.#piece.subarray(0, Math.min(step, count - done) * size);
      await this.source.read(name, (start + done) * size, piece);
      convertToF32(dtype, piece, out, done);
    }
    return out;
  }

  /** The linear's weight, [outFeatures, inFeatures] f32. */
  async weight(linear: LinearSpec): Promise<Float32Array> {
    const { inFeatures, outFeatures, rowOffset = 0 } = linear;
    if (!linear.transposed) return this.elements(linear.weight, rowOffset * inFeatures, outFeatures * inFeatures);
    const columns = this.info(linear.weight).shape[1]!; // [inFeatures, columns]
    const all = transpose(await this.elements(linear.weight, 0, inFeatures * columns), inFeatures, columns);
    return all.subarray(rowOffset * inFeatures, (rowOffset + outFeatures) * inFeatures);
  }

  /** The linear's bias, [outFeatures] f32; undefined where it has none. */
  async bias(linear: LinearSpec): Promise<Float32Array | undefined> {
    return linear.bias === undefined ? undefined : this.elements(linear.bias, linear.rowOffset ?? 0, linear.outFeatures);
  }
}

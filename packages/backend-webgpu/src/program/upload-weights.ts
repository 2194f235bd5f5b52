/**
 * uploadWeights: the planned pieces from the WeightSource to the GPU, widened to f32 on the way, a slice at a time.
 * At most FLUSH_BYTES wait in the queue's staging memory. Called when a model is loaded and again after a loss.
 */
import { AbortedError, ModelLoadError, type LoadProgress, type TensorDtype, type WeightSource } from "@weir/core";
import type { GpuBuffers } from "../gpu/gpu-buffers.js";
import type { GpuDevice } from "../gpu/gpu-device.js";
import type { WeightPiece, WeightPlan } from "./weight-plan.js";

const SLICE_ELEMENTS = 1 << 20;
const FLUSH_BYTES = 64 << 20;

export interface UploadOptions {
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

/** @throws ModelLoadError, AbortedError, EngineRestartedError */
export async function uploadWeights(
  gpu: GpuDevice,
  buffers: GpuBuffers,
  plan: WeightPlan,
  source: WeightSource,
  { onProgress, signal }: UploadOptions,
): Promise<void> {
  const bytesTotal = plan.buffers.reduce((sum, { pieces }) => sum + pieces.reduce((bytes, { count }) => bytes + count * 4, 0), 0);
  const reader = new SliceReader(source);
  let bytesDone = 0;
  let waiting = 0;
  for (const { name, pieces } of plan.buffers) {
    const buffer = buffers.get(name);
    for (const piece of pieces) {
      for (let done = 0; done < piece.count; done += SLICE_ELEMENTS) {
        if (signal?.aborted) throw new AbortedError("loading the model was aborted", { cause: signal.reason });
        const slice = await reader.read(piece, done, Math.min(SLICE_ELEMENTS, piece.count - done));
        gpu.throwIfFaulty();
        gpu.device.queue.writeBuffer(buffer, (piece.at + done) * 4, slice);
        bytesDone += slice.byteLength;
        waiting += slice.byteLength;
        if (waiting >= FLUSH_BYTES) {
          await gpu.done(gpu.device.queue.onSubmittedWorkDone());
          waiting = 0;
        }
        onProgress?.({ stage: "open", bytesDone, bytesTotal });
      }
    }
  }
}

const ELEMENT_BYTES: Partial<Record<TensorDtype, 2 | 4>> = { F32: 4, F16: 2, BF16: 2 };

/** Slices of tensors as f32, in one buffer that is used again. */
class SliceReader {
  readonly #source: WeightSource;
  readonly #stored = new Uint16Array(SLICE_ELEMENTS);
  readonly #values = new Float32Array(SLICE_ELEMENTS);

  constructor(source: WeightSource) {
    this.#source = source;
  }

  /** @returns [count] f32, valid until the next call */
  async read({ tensor, first, plusOne }: WeightPiece, done: number, count: number): Promise<Float32Array<ArrayBuffer>> {
    const dtype = this.#source.tensors.get(tensor)?.dtype;
    const elementBytes = dtype && ELEMENT_BYTES[dtype];
    if (!elementBytes) throw new ModelLoadError(`tensor ${tensor} is ${dtype ?? "missing"}; it must be F32, F16 or BF16`);
    const values = this.#values.subarray(0, count);
    const stored = this.#stored.subarray(0, count);
    const into = elementBytes === 4 ? values : stored;
    await this.#source.read(tensor, (first + done) * elementBytes, new Uint8Array(into.buffer, 0, into.byteLength));
    if (dtype === "F16") widenF16(stored, values);
    else if (dtype === "BF16") widenBf16(stored, values);
    if (plusOne) for (let i = 0; i < count; i++) values[i] = values[i]! + 1;
    return values;
  }
}

/** bf16 is the upper half of an f32. */
export function widenBf16(from: Uint16Array, into: Float32Array): void {
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
  for (let i = 0; i < from.length; i++) bits[i] = from[i]! << 16;
}

/** IEEE 754 binary16. */
export function widenF16(from: Uint16Array, into: Float32Array): void {
  for (let i = 0; i < from.length; i++) {
    const half = from[i]!;
    const sign = half & 0x8000 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const mantissa = half & 1023;
    if (exponent === 31) into[i] = mantissa === 0 ? sign * Infinity : NaN;
    else into[i] = exponent === 0 ? sign * mantissa * 2 ** -24 : sign * (mantissa + 1024) * 2 ** (exponent - 25);
  }
}

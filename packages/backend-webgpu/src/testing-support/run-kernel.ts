/** Runs dispatches alone, over buffers made from typed arrays, and reads buffers back. For tests of kernels. */
import type { WgslStep } from "@weir/core";
import { BUFFER_USAGE, MAP_MODE_READ } from "../gpu/flags.js";
import { GpuBuffers } from "../gpu/gpu-buffers.js";
import { GpuDevice } from "../gpu/gpu-device.js";
import { deviceOpener } from "../gpu/open-device.js";
import type { Dispatch } from "../kernels/wgsl.js";
import { BoundProgram } from "../program/bound-program.js";

/** A Uint32Array is a uniform. */
type Values = Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

export type Step = WgslStep & { readonly maxBlocksPerSeq?: number };

export class KernelBench {
  readonly #gpu: GpuDevice;

  private constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
  }

  static async open(gpu: GPU): Promise<KernelBench> {
    return new KernelBench(await deviceOpener({ gpu })());
  }

  /** @returns what the buffers named in `outputs` hold after the dispatches ran in order, as f32 */
  async run<Name extends string>(
    dispatches: readonly Dispatch[],
    inputs: Readonly<Record<string, Values>>,
    outputs: readonly Name[],
    step: Step,
  ): Promise<Record<Name, Float32Array>> {
    const buffers = new GpuBuffers(this.#gpu);
    const { device } = this.#gpu;
    const { numTokens, numSeqs, numRows, maxBlocksPerSeq = 1 } = step;
    buffers.create("step", 16, BUFFER_USAGE.uniform | BUFFER_USAGE.copyDst);
    device.queue.writeBuffer(buffers.get("step"), 0, Uint32Array.of(numTokens, numSeqs, numRows, maxBlocksPerSeq));
    for (const [name, values] of Object.entries(inputs)) {
      const kind = values instanceof Uint32Array ? BUFFER_USAGE.uniform : BUFFER_USAGE.storage;
      buffers.create(name, values.byteLength, kind | BUFFER_USAGE.copyDst | BUFFER_USAGE.copySrc);
      device.queue.writeBuffer(buffers.get(name), 0, values);
    }
    await buffers.settled();
    const program = await BoundProgram.compile(this.#gpu, dispatches, buffers);
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    program.encode(pass, step);
    pass.end();
    device.queue.submit([encoder.finish()]);
    const results = {} as Record<Name, Float32Array>;
    for (const name of outputs) results[name] = await this.#read(buffers.get(name), inputs[name]!.byteLength);
    buffers.destroy();
    return results;
  }

  close(): void {
    this.#gpu.destroy();
  }

  async #read(buffer: GPUBuffer, bytes: number): Promise<Float32Array> {
    const { device } = this.#gpu;
    const staging = device.createBuffer({ size: bytes, usage: BUFFER_USAGE.mapRead | BUFFER_USAGE.copyDst });
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, 0, staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await this.#gpu.done(staging.mapAsync(MAP_MODE_READ));
    const values = new Float32Array(staging.getMappedRange().slice(0));
    staging.destroy();
    return values;
  }
}

/** [count] f32 in [-1, 1), a function of the seed. */
export function randomValues(count: number, seed: number): Float32Array<ArrayBuffer> {
  let state = seed >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Largest difference relative to the largest expected value; NaN where any is NaN. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let worst = actual.length === expected.length ? 0 : NaN;
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(actual[i]! - expected[i]!) / largest;
    if (!(error <= worst)) worst = error;
  }
  return worst;
}

/**
 * GpuBuffers: the buffers of one model on one device, by name. They are made once, when the model is loaded.
 * Knows sizes and names, not what they hold.
 */
import { InternalError, InvalidOptionsError } from "@weir/core";
import type { GpuDevice } from "./gpu-device.js";

export class GpuBuffers {
  readonly #gpu: GpuDevice;
  readonly #buffers = new Map<string, GPUBuffer>();
  readonly #failures: Promise<{ readonly error: GPUError | null }>[] = [];

  constructor(gpu: GpuDevice) {
    this.#gpu = gpu;
  }

  /** Zeros. Call `settled()` after a batch of these. */
  create(name: string, bytes: number, usage: number): void {
    // A storage binding has at least one vec4.
    const size = Math.max(16, Math.ceil(bytes / 4) * 4);
    const creation = this.#gpu.scoped("out-of-memory", () => {
      this.#buffers.set(name, this.#gpu.device.createBuffer({ label: name, size, usage }));
    });
    this.#failures.push(creation);
  }

  /** @throws InvalidOptionsError when the device had no memory for one of the buffers, EngineRestartedError */
  async settled(): Promise<void> {
    const results = await Promise.all(this.#failures.splice(0));
    this.#gpu.throwIfFaulty();
    const failed = results.find(({ error }) => error);
    if (!failed) return;
    throw new InvalidOptionsError(
      `the GPU has too little memory for this model (${failed.error!.message.split("\n")[0]}); lower kvCacheBytes or maxNumBatchedTokens, or take a smaller model`,
    );
  }

  get(name: string): GPUBuffer {
    const buffer = this.#buffers.get(name);
    if (!buffer) throw new InternalError(`webgpu: no buffer is named ${name}`);
    return buffer;
  }

  destroy(): void {
    for (const buffer of this.#buffers.values()) buffer.destroy();
    this.#buffers.clear();
  }
}

/**
 * GpuDevice: a GPUDevice and what went wrong on it. Loss and errors that nobody captured make it faulty for good:
 * buffers may hold anything then, so whoever works with it starts over on another. Made by `deviceOpener`.
 */
import { EngineRestartedError } from "@weir/core";

export class GpuDevice {
  readonly device: GPUDevice;
  readonly #owned: boolean;
  readonly #onError = (event: GPUUncapturedErrorEvent): void => {
    // Ours to report: browsers and Dawn would print it.
    event.preventDefault();
    this.fail(`an error on the GPU: ${event.error.message}`, event.error);
  };
  #fault: EngineRestartedError | undefined;
  #destroyed = false;

  /** @param owned destroyed with this */
  constructor(device: GPUDevice, owned: boolean) {
    this.device = device;
    this.#owned = owned;
    device.addEventListener("uncapturederror", this.#onError);
    void device.lost.then(({ reason, message }) => this.fail(`the GPU device was lost (${[reason, message].filter(Boolean).join(": ")})`));
  }

  /** Bytes that one storage binding may have. */
  get maxBindingBytes(): number {
    const { maxStorageBufferBindingSize, maxBufferSize } = this.device.limits;
    return Math.min(maxStorageBufferBindingSize, maxBufferSize);
  }

  /** The first fault stays. */
  fail(what: string, cause?: unknown): void {
    if (!this.#destroyed) this.#fault ??= new EngineRestartedError(`${what}; the KV cache on it is lost`, { cause });
  }

  /** @throws EngineRestartedError once the device is faulty */
  throwIfFaulty(): void {
    if (this.#fault) throw this.#fault;
  }

  /**
   * Waits for something that the GPU does.
   * @throws EngineRestartedError when it failed, which nothing but a fault of the device can make it do
   */
  async done<T>(work: Promise<T>): Promise<T> {
    try {
      const result = await work;
      this.throwIfFaulty();
      return result;
    } catch (error) {
      this.fail(`a GPU operation failed: ${(error as Error).message || (error as Error).name}`, error);
      this.throwIfFaulty();
      throw error;
    }
  }

  /** Runs `work`, which must not wait for anything, and gives its first error of that kind. */
  async scoped<T>(filter: GPUErrorFilter, work: () => T): Promise<{ readonly result: T; readonly error: GPUError | null }> {
    this.device.pushErrorScope(filter);
    let popped: Promise<GPUError | null>;
    let result: T;
    try {
      result = work();
    } finally {
      popped = this.device.popErrorScope().catch(() => null);
    }
    return { result, error: await popped };
  }

  /** Frees what it holds when it is ours. Idempotent; faults after this are nobody's. */
  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    this.device.removeEventListener("uncapturederror", this.#onError);
    if (this.#owned) this.device.destroy();
  }
}

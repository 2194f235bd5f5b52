/**
 * The caller's end of the runner's worker: calls with replies, progress, and the services that the worker asks for.
 * When the worker dies, for whatever reason, every pending call ends with EngineRestartedError.
 */
import type { Worker } from "node:worker_threads";
import { EngineRestartedError, fromWireError, toWireError, type LoadProgress } from "@weir/core";
import { startWorker } from "@weir/core/node";
import type { FromWorker, HostCall, RunnerCall, ToWorker } from "./messages.js";

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export interface RunnerPortOptions {
  /** MiB; beyond them the worker dies, not the process. undefined = V8's own limit */
  readonly workerHeapMb: number | undefined;
  readonly onProgress?: (progress: LoadProgress) => void;
  /** Answers what the worker asks for. */
  readonly serve: (call: HostCall) => unknown;
}

export class RunnerPort {
  readonly #worker: Worker;
  readonly #options: RunnerPortOptions;
  readonly #pending = new Map<number, Pending>();
  readonly #exited: Promise<void>;
  #nextId = 0;
  #death: Error | undefined;

  constructor(options: RunnerPortOptions) {
    this.#options = options;
    this.#worker = startWorker(import.meta.url, "./runner-worker.js", {
      name: "weir-cpu-runner",
      ...(options.workerHeapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: options.workerHeapMb } }),
    });
    this.#worker.on("message", (message: FromWorker) => this.#onMessage(message));
    this.#worker.on("error", (error) => this.#die(error));
    this.#exited = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.#die(new Error(`exit code ${code}`));
        resolve();
      });
    });
  }

  /** False once the worker has died or was terminated. */
  get alive(): boolean {
    return this.#death === undefined;
  }

  /** @throws EngineRestartedError when the worker dies before it answers */
  call<T>(call: RunnerCall): Promise<T> {
    if (this.#death) return Promise.reject(this.#death);
    const id = this.#nextId++;
    // A worker with nothing to do must not keep the process alive; one that owes an answer must.
    if (this.#pending.size === 0) this.#worker.ref();
    return new Promise<T>((resolve, reject) => {
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#post({ type: "call", id, call });
    });
  }

  /** Asks a running load to stop at its next linear. */
  abort(): void {
    this.#post({ type: "abort" });
  }

  /** Ends the thread, whatever it is doing. Pending calls are rejected. */
  async terminate(): Promise<void> {
    this.#worker.ref();
    await this.#worker.terminate();
    await this.#exited;
  }

  #post(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #onMessage(message: FromWorker): void {
    if (message.type === "progress") return this.#options.onProgress?.(message.progress);
    if (message.type === "host-call") return void this.#serve(message.id, message.call);
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (this.#pending.size === 0) this.#worker.unref();
    if (message.error) pending?.reject(fromWireError(message.error));
    else pending?.resolve(message.value);
  }

  async #serve(id: number, call: HostCall): Promise<void> {
    try {
      this.#post({ type: "host-reply", id, value: await this.#options.serve(call) });
    } catch (error) {
      this.#post({ type: "host-reply", id, error: toWireError(error) });
    }
  }

  #die(cause: Error): void {
    this.#death ??= new EngineRestartedError(`the CPU runner's worker stopped (${cause.message}); its KV cache is lost`, {
      cause,
    });
    for (const pending of this.#pending.values()) pending.reject(this.#death);
    this.#pending.clear();
  }
}

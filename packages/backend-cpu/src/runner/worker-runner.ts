/**
 * The ModelRunner that the engine sees: a proxy of the runner's worker. Input, output and logits lie in shared
 * memory, so a step costs two small messages and the caller's event loop stays free.
 */
import {
  BackendUnavailableError,
  DisposedError,
  EngineRestartedError,
  InternalError,
  WeirError,
  createModelOutput,
  type CpuAttentionKernel,
  type LoadModelOptions,
  type ModelInput,
  type ModelLimits,
  type ModelOutput,
  type ModelRunner,
  type ModelSpec,
  type MutableModelOutput,
  type Quantizer,
  type RunnerMemory,
  type WeightSource,
} from "@weir/core";
import { quantizerAccess, serveHostCall, weightsAccess } from "./host-services.js";
import type { LoadRequest, LoadedReply, StepReply } from "./messages.js";
import { RunnerPort } from "./runner-port.js";
import { SessionLedger } from "./session-ledger.js";

/** What a CPU runner is made of; resolved by `cpuBackend`. */
export interface WorkerRunnerConfig {
  readonly spec: ModelSpec;
  readonly weights: WeightSource;
  readonly quantizer: Quantizer;
  readonly kernel: CpuAttentionKernel;
  readonly threads: number;
  readonly cacheDir: string | undefined;
  /** MiB; undefined = V8's own limit */
  readonly workerHeapMb: number | undefined;
  readonly options: LoadModelOptions;
  /** Called when disposing begins. */
  readonly onDispose: () => void;
}

export class WorkerRunner implements ModelRunner {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  readonly #config: WorkerRunnerConfig;
  readonly #output: MutableModelOutput;
  readonly #sessions: SessionLedger;
  #port: RunnerPort;
  #loaded: LoadedReply | undefined;
  #kvCommittedBytes = 0;
  #input: ModelInput | undefined;
  #historyIds: Int32Array | undefined;
  #biasIds: Int32Array | undefined;
  #disposed: Promise<void> | undefined;

  private constructor(config: WorkerRunnerConfig) {
    this.spec = config.spec;
    this.limits = config.options.limits;
    this.#config = config;
    const rows = this.limits.maxNumSeqs;
    // Untouched pages of the logits cost nothing; a step writes as many rows as it samples, padded to even.
    const logits = new Float32Array(new SharedArrayBuffer((rows + 1) * this.spec.vocabSize * 4));
    this.#output = createModelOutput(rows, logits as Float32Array<never>, true);
    // One before each layer, one at the end.
    this.#sessions = SessionLedger.create(this.spec.layers.length + 1);
    this.#port = this.#createPort();
  }

  /** @throws ModelLoadError, BackendUnavailableError, AbortedError; nothing is left running then */
  static async load(config: WorkerRunnerConfig): Promise<WorkerRunner> {
    const runner = new WorkerRunner(config);
    const { signal } = config.options;
    const abort = (): void => runner.#port.abort();
    signal?.addEventListener("abort", abort);
    try {
      await runner.#load();
      return runner;
    } catch (error) {
      await runner.dispose();
      throw asLoadError(error);
    } finally {
      signal?.removeEventListener("abort", abort);
    }
  }

  async execute(input: ModelInput): Promise<ModelOutput> {
    this.#assertUsable();
    await this.#shareInput(input);
    const { numTokens, numSeqs, numRows } = input;
    const reply = await this.#port.call<StepReply>({ method: "execute", numTokens, numSeqs, numRows }).catch(throwLost);
    Object.assign(this.#output.timings, reply.timings);
    this.#output.numRows = numRows;
    this.#kvCommittedBytes = reply.kvCommittedBytes;
    return this.#output;
  }

  async copyBlocks(pairs: Int32Array): Promise<void> {
    this.#assertUsable();
    await this.#port.call({ method: "copy-blocks", pairs }).catch(throwLost);
  }

  get blockBytes(): number {
    return this.#reply().blockBytes;
  }

  get kvLayout(): string {
    return this.#reply().kvLayout;
  }

  async readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void> {
    this.#assertUsable();
    const shared = new Uint8Array(new SharedArrayBuffer(blockIds.length * this.blockBytes));
    await this.#port.call({ method: "read-blocks", blockIds, into: shared as Uint8Array<never> });
    into.set(shared);
  }

  async writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void> {
    this.#assertUsable();
    await this.#port.call({ method: "write-blocks", blockIds, from });
  }

  memory(): RunnerMemory {
    const { weightBytes, kvReservedBytes } = this.#reply();
    return { weightBytes, kvReservedBytes, kvCommittedBytes: this.#kvCommittedBytes };
  }

  /** A new worker with the same weights (from the cache file) and an empty KV cache. */
  async recover(): Promise<void> {
    this.#assertUsable();
    await this.#endWorker();
    this.#assertUsable();
    this.#port = this.#createPort();
    this.#input = undefined;
    await this.#load();
  }

  dispose(): Promise<void> {
    if (!this.#disposed) {
      this.#disposed = this.#endWorker();
      this.#config.onDispose();
    }
    return this.#disposed;
  }

  async #endWorker(): Promise<void> {
    // A worker that is alive releases its native handles itself; for a hung or dead one this thread does it.
    if (this.#port.alive) await this.#port.call({ method: "dispose" }).catch(() => undefined);
    await this.#port.terminate();
    this.#sessions.releaseOrphans();
  }

  async #load(): Promise<void> {
    const { spec, weights, quantizer, kernel, threads, cacheDir, options } = this.#config;
    const request: LoadRequest = {
      spec,
      weights: weightsAccess(weights),
      quantizer: quantizerAccess(quantizer),
      limits: options.limits,
      kvDtype: options.kvDtype,
      activations: options.activations ?? "auto",
      strict: options.strict ?? true,
      kernel,
      threads,
      cacheDir,
      sessions: this.#sessions.addresses,
      output: this.#output,
    };
    this.#loaded = await this.#port.call<LoadedReply>({ method: "load", request });
  }

  /** Sends the input's shared arrays once, and again when one of the growing ones was replaced. */
  async #shareInput(input: ModelInput): Promise<void> {
    const { historyIds, biasIds } = input.sampling;
    if (input === this.#input && historyIds === this.#historyIds && biasIds === this.#biasIds) return;
    if (!(input.inputIds.buffer instanceof SharedArrayBuffer)) {
      throw new InternalError("the CPU backend's ModelInput must lie in shared memory: createModelInput(limits, true)");
    }
    await this.#port.call({ method: "input", input });
    this.#input = input;
    this.#historyIds = historyIds;
    this.#biasIds = biasIds;
  }

  #createPort(): RunnerPort {
    const { weights, quantizer, workerHeapMb, options } = this.#config;
    return new RunnerPort({
      workerHeapMb,
      ...(options.onProgress ? { onProgress: options.onProgress } : {}),
      serve: (call) => serveHostCall(call, weights, quantizer),
    });
  }

  #reply(): LoadedReply {
    if (!this.#loaded) throw new InternalError("the runner was used before its load ended");
    return this.#loaded;
  }

  #assertUsable(): void {
    if (this.#disposed) throw new DisposedError("the model runner was disposed");
  }
}

/** A worker that dies before it has a cache has none to lose. */
function asLoadError(error: unknown): unknown {
  if (!WeirError.isInstance(error) || error.code !== "engine_restarted") return error;
  const reason = (error.cause as Error).message;
  return new BackendUnavailableError(`the CPU runner's worker stopped while it loaded the model (${reason})`, { cause: error.cause });
}

/**
 * What a step throws that is no error of ours, or says that an invariant broke, leaves a worker and a cache that
 * nobody can vouch for: the engine must start over with another.
 */
function throwLost(error: Error): never {
  if (WeirError.isInstance(error) && error.code !== "internal") throw error;
  throw new EngineRestartedError(`a step failed in the CPU runner's worker (${error.message}); its KV cache is lost`, { cause: error });
}

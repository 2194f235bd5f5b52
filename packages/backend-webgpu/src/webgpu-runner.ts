/**
 * WebgpuRunner: the ModelRunner that the engine sees. It has a ModelSession on a device, replaces both in recover(),
 * and samples on the host from the rows that came back. Made by `webgpuBackend().loadModel`.
 */
import {
  BackendUnavailableError,
  createModelOutput,
  DefaultSampler,
  DisposedError,
  EngineRestartedError,
  InternalError,
  sampleRows,
  WeirError,
  type ModelInput,
  type ModelLimits,
  type ModelOutput,
  type ModelRunner,
  type ModelSpec,
  type MutableModelOutput,
  type RunnerMemory,
} from "@weir/core";
import { giveLogits } from "./give-logits.js";
import type { OpenDevice } from "./gpu/open-device.js";
import { type ModelConfig, ModelSession } from "./model-session.js";
import { TouchedBlocks } from "./touched-blocks.js";

export class WebgpuRunner implements ModelRunner {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  readonly blockBytes: number;
  readonly kvLayout: string;
  readonly #config: ModelConfig;
  readonly #open: OpenDevice;
  readonly #onDispose: (runner: WebgpuRunner) => void;
  readonly #sampler = new DefaultSampler();
  readonly #output: MutableModelOutput;
  readonly #touched: TouchedBlocks;
  /** Undefined between a loss and the end of recover(). */
  #session: ModelSession | undefined;
  #disposed = false;

  private constructor(config: ModelConfig, open: OpenDevice, session: ModelSession, onDispose: (runner: WebgpuRunner) => void) {
    this.spec = config.spec;
    this.limits = config.options.limits;
    this.blockBytes = session.kv.blockBytes;
    this.kvLayout = session.layout;
    this.#config = config;
    this.#open = open;
    this.#session = session;
    this.#onDispose = onDispose;
    this.#output = createModelOutput(this.limits.maxNumSeqs, new Float32Array(0));
    this.#touched = new TouchedBlocks(this.limits);
  }

  /** @throws BackendUnavailableError, InvalidOptionsError, NotSupportedError, ModelLoadError, AbortedError; nothing is left then */
  static async load(config: ModelConfig, open: OpenDevice, onDispose: (runner: WebgpuRunner) => void): Promise<WebgpuRunner> {
    try {
      return new WebgpuRunner(config, open, await ModelSession.load(await open(), config), onDispose);
    } catch (error) {
      throw asLoadError(error);
    }
  }

  async execute(input: ModelInput): Promise<ModelOutput> {
    const start = performance.now();
    const session = this.#usable();
    this.#check(input);
    this.#touched.addSlots(input.slotMapping, input.numTokens);
    let computed = start;
    const output = this.#output;
    output.numRows = input.numRows;
    await this.#alive(
      session.run(input, (logits) => {
        computed = performance.now();
        sampleRows(logits, this.spec.vocabSize, input, output, this.#sampler);
        giveLogits(logits, this.spec.vocabSize, input, output);
      }),
    );
    const end = performance.now();
    const { timings } = output;
    timings.sampling = input.numRows === 0 ? 0 : end - computed;
    timings.total = end - start;
    // Attention is part of it: a step is one submission.
    timings.dense = timings.total - timings.sampling;
    return output;
  }

  async copyBlocks(pairs: Int32Array): Promise<void> {
    const { kv } = this.#usable();
    pairs.forEach((block) => this.#checkBlock(block));
    for (let i = 1; i < pairs.length; i += 2) this.#touched.add(pairs[i]!);
    kv.copyBlocks(pairs);
  }

  async readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void> {
    const { kv } = this.#usable();
    this.#checkBuffer(blockIds, into);
    await this.#alive(kv.readBlocks(blockIds, into));
  }

  async writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void> {
    const { kv } = this.#usable();
    this.#checkBuffer(blockIds, from);
    for (const block of blockIds) this.#touched.add(block);
    kv.writeBlocks(blockIds, from);
  }

  memory(): RunnerMemory {
    if (!this.#session) return { weightBytes: 0, kvReservedBytes: 0, kvCommittedBytes: 0 };
    return {
      weightBytes: this.#session.weightBytes,
      kvReservedBytes: this.limits.numBlocks * this.blockBytes,
      kvCommittedBytes: this.#touched.count * this.blockBytes,
    };
  }

  /**
   * A new device with the same weights, read again, and an empty KV cache.
   * @throws BackendUnavailableError when there is no other device
   */
  async recover(): Promise<void> {
    this.#checkOpen();
    this.#session?.destroy();
    this.#session = undefined;
    this.#touched.clear();
    const { options, ...rest } = this.#config;
    // Progress and abort belong to the first load.
    const { onProgress: _onProgress, signal: _signal, ...again } = options;
    const session = await ModelSession.load(await this.#open(), { ...rest, options: again });
    if (this.#disposed) session.destroy();
    this.#checkOpen();
    this.#session = session;
  }

  async dispose(): Promise<void> {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#session?.destroy();
    this.#session = undefined;
    this.#onDispose(this);
  }

  /** Work that fails because of dispose() says so. */
  async #alive<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      this.#checkOpen();
      throw error;
    }
  }

  #usable(): ModelSession {
    this.#checkOpen();
    if (!this.#session) throw new EngineRestartedError("the GPU device was lost and is not back yet");
    this.#session.gpu.throwIfFaulty();
    return this.#session;
  }

  #checkOpen(): void {
    if (this.#disposed) throw new DisposedError("the webgpu model runner was disposed");
  }

  /** The GPU clamps what lies outside of a buffer, silently: a wrong step would be garbage. */
  #check({ numTokens, numSeqs, numRows, maxBlocksPerSeq }: ModelInput): void {
    const { maxNumBatchedTokens, maxNumSeqs, maxModelLen, blockSize } = this.limits;
    const good = numTokens <= maxNumBatchedTokens && numSeqs <= maxNumSeqs && numRows <= maxNumSeqs;
    if (good && maxBlocksPerSeq <= Math.ceil(maxModelLen / blockSize)) return;
    throw new InternalError(
      `a step has ${numTokens} tokens, ${numSeqs} sequences of ${maxBlocksPerSeq} blocks and ${numRows} rows, outside of the runner's limits`,
    );
  }

  #checkBlock(block: number): void {
    if (block >= 0 && block < this.limits.numBlocks) return;
    throw new InternalError(`KV block ${block} is outside the pool of ${this.limits.numBlocks}`);
  }

  #checkBuffer(blockIds: Int32Array, buffer: Uint8Array): void {
    blockIds.forEach((block) => this.#checkBlock(block));
    if (buffer.length === blockIds.length * this.blockBytes) return;
    throw new InternalError(`a buffer for ${blockIds.length} KV blocks has ${buffer.length} bytes; a block has ${this.blockBytes}`);
  }
}

/** A device that fails before there is a cache has none to lose. */
function asLoadError(error: unknown): unknown {
  if (!WeirError.isInstance(error) || error.code !== "engine_restarted") return error;
  return new BackendUnavailableError(`the GPU failed while the model was loaded: ${error.message}`, { cause: error });
}

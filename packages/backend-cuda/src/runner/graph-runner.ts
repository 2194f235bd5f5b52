/**
 * GraphRunner: the ModelRunner over a ModelGraph. In: the engine's steps. Out: sampled ids and rows of logits.
 * The native runs, which are nearly all of a step, happen on a thread of libuv's pool (koffi's asynchronous calls), so
 * the caller's event loop stays free; a worker would add a hop for the little that is left, filling inputs and
 * sampling. One native call at a time: everything queues in `#inTurn`.
 */
import {
  createModelOutput,
  DefaultSampler,
  DisposedError,
  EngineRestartedError,
  InternalError,
  ROW_LOGITS,
  ROW_NONFINITE,
  ROW_OK,
  ROW_SAMPLE,
  WeirError,
  type ModelInput,
  type ModelLimits,
  type ModelOutput,
  type ModelRunner,
  type ModelSpec,
  type MutableModelOutput,
  type RunnerMemory,
} from "@weir/core";
import { StepArrays } from "./step-arrays.js";
import type { StepGraph } from "./step-graph.js";

export interface GraphRunnerConfig {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  readonly weightBytes: number;
  /** The model on the device with an empty cache; called again after a device was lost. */
  readonly openGraph: () => Promise<StepGraph>;
  /** New tokens of a sequence in one run of the graph. */
  readonly mostNewTokens: number;
  /** Called when disposing begins. */
  readonly onDispose: () => void;
}

export class GraphRunner implements ModelRunner {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  /** Per block: keys and values of layer 0, of layer 1, ..., each [blockSize, numKvHeads, headDim] f16. */
  readonly kvLayout = "paged-f16-v1";
  readonly blockBytes: number;
  readonly #config: GraphRunnerConfig;
  readonly #arrays: StepArrays;
  readonly #output: MutableModelOutput;
  readonly #sampler = new DefaultSampler();
  /** Where rows are put in order when a step takes several runs. */
  #collected: Float32Array | undefined;
  /** Undefined after a recovery that failed. */
  #graph: StepGraph | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #disposed: Promise<void> | undefined;

  static async load(config: GraphRunnerConfig): Promise<GraphRunner> {
    return new GraphRunner(config, await config.openGraph());
  }

  private constructor(config: GraphRunnerConfig, graph: StepGraph) {
    this.spec = config.spec;
    this.limits = config.limits;
    this.#config = config;
    this.#graph = graph;
    this.blockBytes = graph.kv.blockBytes;
    this.#arrays = new StepArrays(config.limits, config.mostNewTokens);
    this.#output = createModelOutput(config.limits.maxNumSeqs, graph.logits);
  }

  execute(input: ModelInput): Promise<ModelOutput> {
    return this.#inTurn(async (graph) => {
      const start = performance.now();
      await this.#forward(graph, input);
      const forwarded = performance.now();
      this.#finishRows(input);
      const end = performance.now();
      Object.assign(this.#output.timings, { dense: forwarded - start, sampling: end - forwarded, total: end - start });
      this.#output.numRows = input.numRows;
      return this.#output;
    });
  }

  async copyBlocks(pairs: Int32Array): Promise<void> {
    this.#checkBlocks(pairs);
    await this.#inTurn(({ kv }) => kv.copyBlocks(pairs));
  }

  async readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void> {
    this.#checkBlocks(blockIds, into);
    await this.#inTurn(({ kv }) => kv.readBlocks(blockIds, into));
  }

  async writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void> {
    this.#checkBlocks(blockIds, from);
    await this.#inTurn(({ kv }) => kv.writeBlocks(blockIds, from));
  }

  /** A device commits what it reserves. */
  memory(): RunnerMemory {
    const kvReservedBytes = this.#graph?.kv.reservedBytes ?? 0;
    return { weightBytes: this.#config.weightBytes, kvReservedBytes, kvCommittedBytes: kvReservedBytes };
  }

  /**
   * Session and cache anew on the same device. An error that sticks to the process's CUDA context lets this fail.
   * @throws BackendUnavailableError with the device's reason
   */
  recover(): Promise<void> {
    if (this.#disposed) return Promise.reject(new DisposedError("the model runner was disposed"));
    const turn = this.#turn.then(async () => {
      this.#graph?.dispose();
      this.#graph = undefined;
      this.#graph = await this.#config.openGraph();
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }

  dispose(): Promise<void> {
    if (!this.#disposed) {
      this.#config.onDispose();
      this.#disposed = this.#turn.then(() => {
        this.#graph?.dispose();
        this.#graph = undefined;
      });
    }
    return this.#disposed;
  }

  /** Leaves the step's rows in `#output.logits`, in order. */
  async #forward(graph: StepGraph, input: ModelInput): Promise<void> {
    const arrays = this.#arrays;
    const runs = arrays.runsOf(input);
    this.#output.logits = runs === 1 ? graph.logits : this.#collectedRows();
    for (let run = 0; run < runs; run++) {
      arrays.fill(input, run);
      await graph.run(arrays);
      if (runs > 1) this.#collect(graph.logits);
    }
  }

  #collectedRows(): Float32Array {
    return (this.#collected ??= new Float32Array(this.limits.maxNumSeqs * this.spec.vocabSize));
  }

  #collect(logits: Float32Array): void {
    const { vocabSize } = this.spec;
    const { stepRows, numRows } = this.#arrays;
    for (let row = 0; row < numRows; row++) {
      this.#collected!.set(logits.subarray(row * vocabSize, (row + 1) * vocabSize), stepRows[row]! * vocabSize);
    }
  }

  #finishRows(input: ModelInput): void {
    const { vocabSize } = this.spec;
    const output = this.#output;
    for (let row = 0; row < input.numRows; row++) {
      const wants = input.rowWants[row]!;
      // [vocabSize] f32
      const logits = output.logits.subarray(row * vocabSize, (row + 1) * vocabSize);
      output.logitsRow[row] = (wants & ROW_LOGITS) === 0 ? -1 : row;
      if ((wants & ROW_SAMPLE) === 0) output.status[row] = logits.some((logit) => Number.isNaN(logit)) ? ROW_NONFINITE : ROW_OK;
      else this.#sampler.sample(logits, input.sampling, row, output);
    }
  }

  #checkBlocks(blocks: Int32Array, bytes?: Uint8Array): void {
    const wrong = blocks.find((block) => block < 0 || block >= this.limits.numBlocks);
    if (wrong !== undefined) throw new InternalError(`block ${wrong} is outside of the pool of ${this.limits.numBlocks}`);
    if (bytes && bytes.length !== blocks.length * this.blockBytes) {
      throw new InternalError(`${blocks.length} blocks take ${blocks.length * this.blockBytes} bytes; the buffer has ${bytes.length}`);
    }
  }

  /** After everything asked for before; what the device throws says that its cache can no longer be vouched for. */
  #inTurn<T>(work: (graph: StepGraph) => Promise<T>): Promise<T> {
    if (this.#disposed) return Promise.reject(new DisposedError("the model runner was disposed"));
    const turn = this.#turn.then(() => {
      if (!this.#graph) throw new EngineRestartedError("the device was lost and did not come back; its KV cache is lost");
      return work(this.#graph).catch(throwLost);
    });
    this.#turn = turn.catch(() => {});
    return turn;
  }
}

/** ONNX Runtime's errors come as InternalError or ModelLoadError, whatever the device's fault was. */
function throwLost(error: Error): never {
  const ours = WeirError.isInstance(error) && !DEVICE_CODES.has(error.code);
  if (ours || error instanceof TypeError) throw error;
  throw new EngineRestartedError(`a step failed on the device (${error.message}); its KV cache is lost`, { cause: error });
}

const DEVICE_CODES: ReadonlySet<string> = new Set(["internal", "model_load", "backend_unavailable"]);

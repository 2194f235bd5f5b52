/**
 * ModelGraph: a prepared model on a device: its session, its KV cache, and one run at a time off the event loop.
 * In: filled StepArrays. Out: rows of logits in host memory. Made by GraphRunner, again after a device was lost.
 */
import { AbortedError, BackendUnavailableError, type ModelLimits, type ModelSpec } from "@weir/core";
import { RunCall, type DeviceRuntime, type PreparedGraph } from "@weir/ort";
import { KvCache } from "./kv-cache.js";
import type { StepArrays } from "./step-arrays.js";
import type { StepGraph } from "./step-graph.js";

export class ModelGraph implements StepGraph {
  readonly kv: KvCache;
  /** [maxNumSeqs, vocabSize] f32; the first rows are those of the last run */
  readonly logits: Float32Array;
  readonly #runtime: DeviceRuntime;
  readonly #call: RunCall;
  readonly #vocabSize: number;

  /**
   * @param runtime is the graph's from now on, and is disposed when loading fails
   * @throws ModelLoadError, BackendUnavailableError without room on the device, AbortedError
   */
  static async load(
    runtime: DeviceRuntime,
    prepared: PreparedGraph,
    { limits, spec }: { readonly limits: ModelLimits; readonly spec: ModelSpec },
    signal?: AbortSignal,
  ): Promise<ModelGraph> {
    try {
      throwIfAborted(signal);
      const session = await runtime.openSession(prepared.model, prepared.externalDataFolder);
      throwIfAborted(signal);
      const kv = await KvCache.create(runtime, prepared.caches).catch(throwNoRoom);
      throwIfAborted(signal);
      return new ModelGraph(runtime, new RunCall(session), kv, limits.maxNumSeqs, spec.vocabSize);
    } catch (error) {
      runtime.dispose();
      throw error;
    }
  }

  private constructor(runtime: DeviceRuntime, call: RunCall, kv: KvCache, rows: number, vocabSize: number) {
    this.kv = kv;
    this.#runtime = runtime;
    this.#call = call;
    this.#vocabSize = vocabSize;
    // Pages that no step writes cost nothing.
    this.logits = new Float32Array(new ArrayBuffer(Math.max(4096, rows * vocabSize * 4)), 0, rows * vocabSize);
    for (const [name, tensor] of kv.tensors) call.setInput(name, tensor);
  }

  /** Computes the run's tokens and, into `logits`, its rows. */
  run(arrays: StepArrays): Promise<void> {
    const { tensors } = this.#runtime;
    const { numTokens, numSeqs } = arrays;
    const numRows = Math.max(1, arrays.numRows);
    const call = this.#call;
    call.setInput("input_ids", tensors.get(arrays.inputIds, numTokens, 0));
    call.setInput("cu_seqlens_q", tensors.get(arrays.cuSeqlensQ, numSeqs + 1, 0));
    call.setInput("past_lens", tensors.get(arrays.pastLens, numSeqs, 0));
    call.setInput("block_tables", tensors.get(arrays.blockTables, numSeqs, arrays.maxBlocksPerSeq));
    call.setInput("attention_bounds", tensors.get(arrays.attentionBounds, 2, 0));
    call.setInput("row_indices", tensors.get(arrays.rowIndices, numRows, 0));
    call.setOutput("logits", tensors.get(this.logits, numRows, this.#vocabSize));
    return call.runAsync();
  }

  /** Nothing may be running. Idempotent. */
  dispose(): void {
    this.#runtime.dispose();
  }
}

function throwNoRoom(error: Error): never {
  if (error.name === "TypeError") throw error;
  throw new BackendUnavailableError(
    `the device has no room for the KV cache (${error.message}); lower kvCacheBytes, numBlocks or maxNumSeqs, or free memory on the device`,
    { cause: error },
  );
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError("loading the model was aborted", { cause: signal.reason });
}

/**
 * One model in the runner's worker: ONNX segments and the attention kernel in turn, then the sampler.
 * In: ModelInput in shared memory. Out: the shared ModelOutput, filled. All of a step is synchronous.
 */
import {
  DefaultSampler,
  InvalidOptionsError,
  ROW_LOGITS,
  sampleRows,
  type CpuAttention,
  type CreateCpuAttention,
  type LoadProgress,
  type ModelInput,
  type ModelLimits,
  type ModelSpec,
} from "@weir/core";
import { prepareModel, type PreparedModel } from "@weir/ort";
import { attentionConfig } from "./attention-config.js";
import { importPlugIn, openQuantizer, openWeights } from "./host-access.js";
import type { HostCall, LoadedReply, LoadRequest, StepReply } from "./messages.js";
import { SegmentChain } from "./segment-chain.js";
import { SessionLedger } from "./session-ledger.js";

/** What a load may use of its surroundings. */
export interface LoadContext {
  readonly hostCall: (call: HostCall) => Promise<unknown>;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly signal: AbortSignal;
}

export class ModelExecutor {
  readonly attention: CpuAttention;
  readonly #request: LoadRequest;
  readonly #segments: SegmentChain;
  readonly #weightBytes: number;
  readonly #pad: boolean;
  readonly #sampler = new DefaultSampler();
  /** [maxTokens] i32, what the first segment reads; padded rows read token 0 */
  readonly #inputIds: Int32Array;
  /** [maxRows] i32 */
  readonly #rowIndices: Int32Array;
  readonly #reply: StepReply = { timings: { dense: 0, attention: 0, sampling: 0, total: 0 }, kvCommittedBytes: 0 };

  /** @throws ModelLoadError, BackendUnavailableError, InvalidOptionsError, AbortedError; nothing native is left then */
  static async load(request: LoadRequest, context: LoadContext): Promise<ModelExecutor> {
    const quantizer = await openQuantizer(request.quantizer, context.hostCall);
    const weights = await openWeights(request.weights, context.hostCall);
    try {
      const prepared = await prepareModel(request.spec, weights, {
        quantizer,
        activations: request.activations,
        onProgress: context.onProgress,
        signal: context.signal,
        // A folder that was asked for is the only one.
        ...(request.cacheDir === undefined ? {} : { cacheFolders: [request.cacheDir] }),
      });
      const attention = await createAttention(request);
      const segments = new SegmentChain(request.threads, new SessionLedger(request.sessions));
      try {
        segments.load(prepared, context);
        return new ModelExecutor(request, prepared, attention, segments);
      } catch (error) {
        segments.dispose();
        await attention.dispose();
        throw error;
      }
    } finally {
      await weights.close();
    }
  }

  private constructor(request: LoadRequest, prepared: PreparedModel, attention: CpuAttention, segments: SegmentChain) {
    const { limits, spec } = request;
    this.attention = attention;
    this.#request = request;
    this.#segments = segments;
    this.#pad = request.strict && prepared.evenRows;
    this.#weightBytes = prepared.weightBytes;
    this.#inputIds = new Int32Array(new SharedArrayBuffer(even(limits.maxNumBatchedTokens) * 4));
    this.#rowIndices = new Int32Array(new SharedArrayBuffer(even(limits.maxNumSeqs) * 4));
    this.#bind(spec, limits);
  }

  describe(): LoadedReply {
    return {
      weightBytes: this.#weightBytes,
      blockBytes: this.attention.blockBytes,
      kvLayout: this.attention.layout,
      kvReservedBytes: this.attention.memory().reservedBytes,
    };
  }

  execute(input: ModelInput): StepReply {
    const start = performance.now();
    const { timings } = this.#reply;
    const attended = this.#forward(input);
    const forwarded = performance.now();
    this.#finishRows(input);
    const end = performance.now();
    timings.attention = attended;
    timings.dense = forwarded - start - attended;
    timings.sampling = end - forwarded;
    timings.total = end - start;
    return { timings, kvCommittedBytes: this.attention.memory().committedBytes };
  }

  async dispose(): Promise<void> {
    this.#segments.dispose();
    await this.attention.dispose();
  }

  /** Fills the logits of the step's rows. @returns milliseconds spent in attention */
  #forward(input: ModelInput): number {
    const { numTokens, numRows } = input;
    const tokens = this.#padded(numTokens);
    this.#inputIds.set(input.inputIds.subarray(0, numTokens));
    this.#inputIds.fill(0, numTokens, tokens);
    const rows = this.#padded(numRows);
    this.#rowIndices.set(input.logitsIndices.subarray(0, numRows));
    this.#rowIndices.fill(0, numRows, rows);
    let attended = 0;
    this.attention.begin(input);
    const segments = this.#segments.sessions;
    segments[0]!.run(tokens);
    for (let layer = 0; layer < segments.length - 1; layer++) {
      const start = performance.now();
      this.attention.run(layer);
      attended += performance.now() - start;
      // The last segment gives only logits: a step of prefill chunks that end nowhere goes without it.
      if (layer < segments.length - 2) segments[layer + 1]!.run(tokens);
      else if (rows > 0) segments[layer + 1]!.run(tokens, rows);
    }
    return attended;
  }

  #finishRows(input: ModelInput): void {
    const { output, spec } = this.#request;
    for (let row = 0; row < input.numRows; row++) {
      output.logitsRow[row] = (input.rowWants[row]! & ROW_LOGITS) === 0 ? -1 : row;
    }
    sampleRows(output.logits, spec.vocabSize, input, output, this.#sampler);
  }

  #padded(rows: number): number {
    return this.#pad ? even(rows) : rows;
  }

  #bind(spec: ModelSpec, limits: ModelLimits): void {
    // One residual for all segments: ONNX Runtime reads a row before it writes it.
    const residual = new Float32Array(new SharedArrayBuffer(even(limits.maxNumBatchedTokens) * spec.hiddenSize * 4));
    this.#segments.sessions.forEach((segment, index) => {
      const before = Math.max(0, index - 1);
      const after = Math.min(index, spec.layers.length - 1);
      segment.bind({
        input_ids: this.#inputIds,
        row_indices: this.#rowIndices,
        residual_in: residual,
        residual_out: residual,
        attention: this.attention.output(before),
        qkv: this.attention.qkv(after),
        logits: this.#request.output.logits,
      });
    });
  }
}

async function createAttention(request: LoadRequest): Promise<CpuAttention> {
  const { kernel } = request;
  const module = await importPlugIn<{ createCpuAttention?: CreateCpuAttention }>(`attention kernel '${kernel.name}'`, kernel.module);
  if (!module.createCpuAttention)
    throw new InvalidOptionsError(`attention kernel '${kernel.name}': its module exports no createCpuAttention`);
  return module.createCpuAttention(attentionConfig(request), kernel.options);
}

/** Padding may compute one row more than the step has. */
function even(rows: number): number {
  return rows + (rows % 2);
}

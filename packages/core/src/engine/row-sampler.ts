/**
 * RowSampler: samples, on the caller's thread, the rows that came back as logits: of requests with logits
 * processors, of engines with a sampler of their own, and of backends that do not sample. What a user's code
 * throws becomes the request's error.
 */
import { ROW_LOGITS, ROW_OK, ROW_SAMPLE, type ModelInput, type ModelOutput, type SampledRows, type Sampler } from "../contracts/index.js";
import { InternalError } from "../errors/index.js";
import { asError } from "./as-error.js";
import type { EngineStats } from "./engine-stats.js";
import type { EngineRequest } from "./request.js";
import { applyBiases } from "./row-sampling.js";
import { NO_ROW, type StepBatch } from "./step-batch.js";
import { createModelOutput } from "./step-buffers.js";

export interface RowSamplerOptions {
  readonly sampler: Sampler;
  /** The sampler is the user's: its time is his too. */
  readonly userSampler: boolean;
  readonly vocabSize: number;
  readonly maxRows: number;
  readonly stats: EngineStats;
  readonly now: () => number;
  readonly onFailed: (request: EngineRequest, error: Error) => void;
}

export class RowSampler {
  /** Rows sampled here; the others are in the runner's output. */
  readonly rows: SampledRows;
  readonly #options: RowSamplerOptions;

  constructor(options: RowSamplerOptions) {
    this.#options = options;
    this.rows = createModelOutput(options.maxRows, new Float32Array(0));
  }

  /** May change `output.logits` of the rows it samples. */
  sample(batch: StepBatch, input: ModelInput, output: ModelOutput): void {
    for (let i = 0; i < batch.requests.length; i++) {
      const row = batch.rows[i]!;
      const request = batch.requests[i]!;
      if (row === NO_ROW || request.ended || (input.rowWants[row]! & ROW_LOGITS) === 0) continue;
      const { vocabSize } = this.#options;
      const start = output.logitsRow[row]! * vocabSize;
      // [vocabSize] f32
      const logits = output.logits.subarray(start, start + vocabSize);
      if (request.params.fullLogits && request.numOutputTokens === 0) request.firstLogits = Float32Array.from(logits);
      if ((input.rowWants[row]! & ROW_SAMPLE) === 0) this.#sampleRow(request, logits, input, row);
    }
  }

  #sampleRow(request: EngineRequest, logits: Float32Array, input: ModelInput, row: number): void {
    const { sampler, userSampler, stats, now, vocabSize } = this.#options;
    const { rows } = this;
    const start = now();
    rows.status[row] = ROW_OK;
    rows.tokenIds[row] = -1;
    try {
      if (request.hasProcessors) process(request, logits);
      sampler.sample(logits, input.sampling, row, rows);
      if (rows.status[row] === ROW_OK && !isToken(rows.tokenIds[row]!, vocabSize)) {
        throw new InternalError(`sampler ${sampler.name} chose token ${rows.tokenIds[row]} of a vocabulary of ${vocabSize}`);
      }
    } catch (error) {
      this.#options.onFailed(request, asError(error));
    }
    if (userSampler || request.hasProcessors) stats.userCodeMs += now() - start;
  }
}

function process(request: EngineRequest, logits: Float32Array): void {
  const { sequence, params } = request;
  applyBiases(logits, request);
  const tokenIds = sequence.tokenIds.subarray(0, sequence.numTokens);
  for (const processor of params.logitsProcessors) processor.process(logits, tokenIds, sequence.numPromptTokens);
}

function isToken(id: number, vocabSize: number): boolean {
  return id >= 0 && id < vocabSize;
}

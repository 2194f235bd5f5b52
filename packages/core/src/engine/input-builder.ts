/**
 * InputBuilder: a SchedulerOutput as the flat arrays of a ModelInput. Called once per step; allocates only when
 * the history or bias buffers must grow. It chooses nothing: what runs is the scheduler's word.
 */
import { ROW_LOGITS, ROW_SAMPLE, type ModelInput, type ModelLimits, type SchedulerOutput, type Sequence } from "../contracts/index.js";
import { InternalError } from "../errors/index.js";
import { writeRowSampling } from "./row-sampling.js";
import type { EngineRequest } from "./request.js";
import { NO_ROW, type StepBatch } from "./step-batch.js";
import { createModelInput } from "./step-buffers.js";

export interface InputBuilderOptions {
  readonly limits: ModelLimits;
  /** The runner reads the arrays from other threads. */
  readonly shared: boolean;
  /** Every row is sampled on the caller's thread. */
  readonly sampleHere: boolean;
  readonly requestOf: (seqId: number) => EngineRequest | undefined;
}

export class InputBuilder {
  readonly input: ModelInput;
  readonly batch: StepBatch = { requests: [], rows: [] };
  readonly #options: InputBuilderOptions;

  constructor(options: InputBuilderOptions) {
    this.#options = options;
    this.input = createModelInput(options.limits, options.shared);
  }

  /** The same ModelInput each time, with this step's content; `batch` says who is in it. */
  build(scheduled: SchedulerOutput): ModelInput {
    const { input, batch } = this;
    this.#begin(scheduled);
    for (let i = 0; i < scheduled.sequences.length; i++) {
      const sequence = scheduled.sequences[i]!;
      const request = this.#options.requestOf(sequence.seqId);
      if (!request) throw new InternalError(`the scheduler scheduled sequence ${sequence.seqId}, which it was told to forget`);
      const numNew = scheduled.numScheduledTokens[i]!;
      this.#addTokens(sequence, numNew);
      batch.requests.push(request);
      // The logits of its last token so far are those that the next one is chosen from.
      const complete = sequence.numComputedTokens + numNew === sequence.numTokens;
      batch.rows.push(complete ? this.#addRow(request) : NO_ROW);
    }
    return input;
  }

  #begin(scheduled: SchedulerOutput): void {
    const { input, batch } = this;
    const { maxNumBatchedTokens, maxNumSeqs } = this.#options.limits;
    if (scheduled.numBatchedTokens > maxNumBatchedTokens || scheduled.sequences.length > maxNumSeqs) {
      throw new InternalError(
        `the scheduler scheduled ${scheduled.numBatchedTokens} tokens of ${scheduled.sequences.length} sequences; ` +
          `a step takes ${maxNumBatchedTokens} of ${maxNumSeqs}`,
      );
    }
    batch.requests.length = 0;
    batch.rows.length = 0;
    input.numTokens = 0;
    input.numSeqs = 0;
    input.numRows = 0;
    input.cuSeqlensQ[0] = 0;
    input.sampling.cuHistory[0] = 0;
    input.sampling.cuBias[0] = 0;
  }

  #addTokens(sequence: Sequence, numNew: number): void {
    const { input } = this;
    const { blockSize } = this.#options.limits;
    const past = sequence.numComputedTokens;
    const { tokenIds, blockTable } = sequence;
    for (let position = past; position < past + numNew; position++) {
      const token = input.numTokens++;
      input.inputIds[token] = tokenIds[position]!;
      input.positions[token] = position;
      input.slotMapping[token] = blockTable[Math.floor(position / blockSize)]! * blockSize + (position % blockSize);
    }
    const row = input.numSeqs++;
    input.pastLens[row] = past;
    input.cuSeqlensQ[row + 1] = input.numTokens;
    const numBlocks = Math.ceil((past + numNew) / blockSize);
    for (let i = 0, at = row * input.maxBlocksPerSeq; i < numBlocks; i++) input.blockTables[at + i] = blockTable[i]!;
  }

  #addRow(request: EngineRequest): number {
    const { input } = this;
    const row = input.numRows++;
    input.logitsIndices[row] = input.numTokens - 1;
    const sampleHere = this.#options.sampleHere || request.hasProcessors;
    const wantsLogits = request.params.fullLogits && request.numOutputTokens === 0;
    input.rowWants[row] = (sampleHere ? 0 : ROW_SAMPLE) | (sampleHere || wantsLogits ? ROW_LOGITS : 0);
    writeRowSampling(input.sampling, row, request, this.#options.shared);
    return row;
  }
}

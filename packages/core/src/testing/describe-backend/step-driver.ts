/**
 * StepDriver: the smallest engine that can drive a ModelRunner: sequences, a shuffled block pool, steps on demand.
 * In: which sequences run how many tokens. Out: the runner's rows. Only the conformance suite uses it; tests see
 * every detail of a step that the real engine would hide.
 */
import { type ModelInput, type ModelOutput, type ModelRunner, ROW_LOGITS, ROW_SAMPLE } from "../../contracts/index.js";
import { createModelInput } from "../../engine/step-buffers.js";
import { DefaultSampler, sampleRows } from "../../sampling/index.js";

/** What a row is sampled with; absent = greedy. */
export interface RowParams {
  readonly temperature?: number;
  readonly seed?: number;
  readonly numLogprobs?: number;
  readonly wants?: number;
}

export interface DrivenSequence {
  readonly ids: number[];
  numComputed: number;
  blocks: number[];
  readonly params: RowParams;
  readonly numPromptTokens: number;
}

/** One sequence's share of a step. */
export interface StepPart {
  readonly sequence: DrivenSequence;
  /** Default: all that are not computed. */
  readonly numTokens?: number;
}

export class StepDriver {
  readonly runner: ModelRunner;
  readonly #input: ModelInput;
  readonly #free: number[];
  /** Of a backend that does not sample: as the engine would, from rows of logits. */
  readonly #sampler: DefaultSampler | undefined;

  /**
   * @param options.seed of the order in which blocks are handed out
   * @param options.sampling, sharedInput the backend's capabilities
   */
  constructor(runner: ModelRunner, options: { readonly seed: number; readonly sampling?: boolean; readonly sharedInput?: boolean }) {
    this.runner = runner;
    this.#input = createModelInput(runner.limits, options.sharedInput);
    this.#free = shuffled(runner.limits.numBlocks, options.seed);
    this.#sampler = options.sampling === false ? new DefaultSampler() : undefined;
  }

  get numFreeBlocks(): number {
    return this.#free.length;
  }

  add(promptIds: readonly number[], params: RowParams = {}): DrivenSequence {
    return { ids: [...promptIds], numComputed: 0, blocks: [], params, numPromptTokens: promptIds.length };
  }

  /** Runs the parts as one batch. Rows are in their order, one each, for the last token of each part. */
  async step(parts: readonly StepPart[]): Promise<ModelOutput> {
    const input = this.#input;
    input.numTokens = 0;
    input.numSeqs = input.numRows = parts.length;
    parts.forEach((part, row) => this.#place(part, row));
    const output = await this.#execute(input);
    for (const { sequence, numTokens = sequence.ids.length - sequence.numComputed } of parts) sequence.numComputed += numTokens;
    return output;
  }

  /** Runs all that is left of the sequences and appends what they sample, `count` times. */
  async decode(sequences: readonly DrivenSequence[], count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      const output = await this.step(sequences.map((sequence) => ({ sequence })));
      sequences.forEach((sequence, row) => sequence.ids.push(output.tokenIds[row]!));
    }
  }

  /** Gives the blocks back; the next step computes the sequence anew, as after a preemption. */
  preempt(sequence: DrivenSequence): void {
    this.#free.push(...sequence.blocks.splice(0));
    sequence.numComputed = 0;
  }

  /** A copy of the sequence that shares its full blocks; the last, partial one is copied by the runner. */
  async fork(parent: DrivenSequence): Promise<DrivenSequence> {
    const full = Math.floor(parent.numComputed / this.runner.limits.blockSize);
    const blocks = parent.blocks.slice(0, full);
    if (full < parent.blocks.length) {
      const copy = this.#takeBlock();
      await this.runner.copyBlocks(Int32Array.of(parent.blocks[full]!, copy));
      blocks.push(copy);
    }
    return { ...parent, ids: [...parent.ids], blocks };
  }

  /** Fresh blocks in place of the sequence's own; the old ones are free again. @returns [old, new] pairs */
  relocate(sequence: DrivenSequence): Int32Array {
    const fresh = sequence.blocks.map(() => this.#takeBlock());
    const pairs = Int32Array.from(sequence.blocks.flatMap((block, i) => [block, fresh[i]!]));
    this.#free.unshift(...sequence.blocks);
    sequence.blocks = fresh;
    return pairs;
  }

  async #execute(input: ModelInput): Promise<ModelOutput> {
    if (!this.#sampler) return this.runner.execute(input);
    input.rowWants.fill(ROW_LOGITS, 0, input.numRows);
    const output = await this.runner.execute(input);
    input.rowWants.fill(ROW_SAMPLE, 0, input.numRows);
    sampleRows(output.logits, this.runner.spec.vocabSize, input, output, this.#sampler);
    return output;
  }

  #place({ sequence, numTokens = sequence.ids.length - sequence.numComputed }: StepPart, row: number): void {
    const input = this.#input;
    const { blockSize } = this.runner.limits;
    const past = sequence.numComputed;
    while (sequence.blocks.length * blockSize < past + numTokens) sequence.blocks.push(this.#takeBlock());
    input.cuSeqlensQ[row] = input.numTokens;
    input.pastLens[row] = past;
    input.blockTables.fill(-1, row * input.maxBlocksPerSeq, (row + 1) * input.maxBlocksPerSeq);
    input.blockTables.set(sequence.blocks, row * input.maxBlocksPerSeq);
    for (let position = past; position < past + numTokens; position++) {
      const at = input.numTokens++;
      input.inputIds[at] = sequence.ids[position]!;
      input.positions[at] = position;
      input.slotMapping[at] = sequence.blocks[Math.floor(position / blockSize)]! * blockSize + (position % blockSize);
    }
    input.cuSeqlensQ[row + 1] = input.numTokens;
    input.logitsIndices[row] = input.numTokens - 1;
    this.#setParams(sequence, row);
  }

  #setParams({ params, ids, numPromptTokens }: DrivenSequence, row: number): void {
    const { sampling } = this.#input;
    this.#input.rowWants[row] = params.wants ?? ROW_SAMPLE;
    sampling.temperature[row] = params.temperature ?? 0;
    sampling.topP[row] = sampling.repetitionPenalty[row] = 1;
    sampling.topK[row] = sampling.minP[row] = sampling.presencePenalty[row] = sampling.frequencyPenalty[row] = 0;
    sampling.seed[row * 2] = params.seed ?? 0;
    sampling.seed[row * 2 + 1] = 0;
    sampling.counter[row] = ids.length - numPromptTokens;
    sampling.numLogprobs[row] = params.numLogprobs ?? -1;
    sampling.cuHistory[row + 1] = sampling.cuBias[row + 1] = 0;
    sampling.promptLens[row] = 0;
  }

  #takeBlock(): number {
    const block = this.#free.pop();
    if (block === undefined) throw new Error("the test's block pool is empty");
    return block;
  }
}

/** 0..count-1 in an order that `seed` decides (Fisher-Yates over a linear congruential generator). */
function shuffled(count: number, seed: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  let state = seed >>> 0;
  for (let i = count - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}

/**
 * ReferenceRunner: ModelRunner over the plain forward pass. Checks its input, as an oracle should.
 * Made by the reference backend; called by the engine and by tests.
 */
import {
  type ModelInput,
  type ModelLimits,
  type ModelOutput,
  type ModelRunner,
  type ModelSpec,
  ROW_LOGITS,
  ROW_NONFINITE,
  ROW_OK,
  ROW_SAMPLE,
  type RunnerMemory,
  type Sampler,
} from "../../contracts/index.js";
import { createModelOutput, type MutableModelOutput } from "../../engine/step-buffers.js";
import { DisposedError, InternalError } from "../../errors/index.js";
import { DefaultSampler, sampleRows } from "../../sampling/index.js";
import { ForwardPass } from "./forward.js";
import type { ModelWeights } from "./model-weights.js";
import { PagedKv } from "./paged-kv.js";

export class ReferenceRunner implements ModelRunner {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  readonly blockBytes: number;
  readonly kvLayout = "reference-f32-v1";
  readonly #weightBytes: number;
  readonly #output: MutableModelOutput;
  readonly #sampler: Sampler;
  #kv: PagedKv | undefined;
  #forward: ForwardPass | undefined;

  constructor(spec: ModelSpec, weights: ModelWeights, limits: ModelLimits) {
    this.spec = spec;
    this.limits = limits;
    this.#weightBytes = weights.bytes;
    this.#kv = new PagedKv(spec, limits);
    this.#forward = new ForwardPass(spec, weights, this.#kv, limits);
    this.blockBytes = this.#kv.blockBytes;
    this.#output = createModelOutput(limits.maxNumSeqs, new Float32Array(0));
    this.#sampler = new DefaultSampler();
  }

  async execute(input: ModelInput): Promise<ModelOutput> {
    const start = performance.now();
    const forward = this.#open(this.#forward);
    this.#check(input);
    const logits = forward.run(input);
    const sampled = performance.now();
    const output = this.#output;
    output.numRows = input.numRows;
    sampleRows(logits, this.spec.vocabSize, input, output, this.#sampler);
    this.#giveLogits(logits, input);
    const end = performance.now();
    output.timings = { dense: sampled - start, attention: 0, sampling: end - sampled, total: end - start };
    return output;
  }

  async copyBlocks(pairs: Int32Array): Promise<void> {
    const kv = this.#open(this.#kv);
    pairs.forEach((block) => this.#checkBlock(block));
    for (let i = 0; i < pairs.length; i += 2) kv.copyBlock(pairs[i]!, pairs[i + 1]!);
  }

  async readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void> {
    const kv = this.#open(this.#kv);
    this.#checkBuffer(blockIds, into);
    blockIds.forEach((block, i) => kv.readBlock(block, into.subarray(i * this.blockBytes, (i + 1) * this.blockBytes)));
  }

  async writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void> {
    const kv = this.#open(this.#kv);
    this.#checkBuffer(blockIds, from);
    blockIds.forEach((block, i) => kv.writeBlock(block, from.subarray(i * this.blockBytes, (i + 1) * this.blockBytes)));
  }

  memory(): RunnerMemory {
    return {
      weightBytes: this.#weightBytes,
      kvReservedBytes: this.#kv?.reservedBytes ?? 0,
      kvCommittedBytes: this.#kv?.committedBytes ?? 0,
    };
  }

  async dispose(): Promise<void> {
    this.#kv = undefined;
    this.#forward = undefined;
  }

  /** Rows that want logits get them, and their status where nobody sampled. */
  #giveLogits(logits: Float32Array, input: ModelInput): void {
    const { vocabSize } = this.spec;
    const output = this.#output;
    let numLogitsRows = 0;
    for (let row = 0; row < input.numRows; row++) {
      const wanted = (input.rowWants[row]! & ROW_LOGITS) !== 0;
      output.logitsRow[row] = wanted ? numLogitsRows++ : -1;
      if ((input.rowWants[row]! & ROW_SAMPLE) !== 0) continue;
      const values = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
      output.status[row] = values.some((logit) => Number.isNaN(logit)) ? ROW_NONFINITE : ROW_OK;
    }
    if (output.logits.length < numLogitsRows * vocabSize) output.logits = new Float32Array(numLogitsRows * vocabSize);
    for (let row = 0; row < input.numRows; row++) {
      const at = output.logitsRow[row]!;
      if (at >= 0) output.logits.set(logits.subarray(row * vocabSize, (row + 1) * vocabSize), at * vocabSize);
    }
  }

  /** A wrong step is a bug of the engine; a fast backend would read garbage. */
  #check(input: ModelInput): void {
    const { maxNumBatchedTokens, maxNumSeqs, maxModelLen, numBlocks, blockSize } = this.limits;
    require(input.numTokens <= maxNumBatchedTokens, "numTokens", input.numTokens);
    require(input.numSeqs <= maxNumSeqs, "numSeqs", input.numSeqs);
    require(input.cuSeqlensQ[0] === 0, "cuSeqlensQ[0]", input.cuSeqlensQ[0]);
    require(input.cuSeqlensQ[input.numSeqs] === input.numTokens, "last cuSeqlensQ", input.cuSeqlensQ[input.numSeqs]);
    for (let token = 0; token < input.numTokens; token++) {
      const id = input.inputIds[token]!;
      require(id >= 0 && id < this.spec.vocabSize, `inputIds[${token}]`, id);
      require(input.positions[token]! < maxModelLen, `positions[${token}]`, input.positions[token]);
      require(input.slotMapping[token]! < numBlocks * blockSize, `slotMapping[${token}]`, input.slotMapping[token]);
    }
    for (let seq = 0; seq < input.numSeqs; seq++) {
      const numBlocksUsed = Math.ceil(input.pastLens[seq]! / blockSize);
      for (let i = 0; i < numBlocksUsed; i++) this.#checkBlock(input.blockTables[seq * input.maxBlocksPerSeq + i]!);
    }
    for (let row = 0; row < input.numRows; row++) {
      require(input.logitsIndices[row]! < input.numTokens, `logitsIndices[${row}]`, input.logitsIndices[row]);
    }
  }

  #checkBlock(block: number): void {
    require(block >= 0 && block < this.limits.numBlocks, "block", block);
  }

  #checkBuffer(blockIds: Int32Array, buffer: Uint8Array): void {
    blockIds.forEach((block) => this.#checkBlock(block));
    require(buffer.length === blockIds.length * this.blockBytes, "bytes of the buffer", buffer.length);
  }

  #open<T>(part: T | undefined): T {
    if (part === undefined) throw new DisposedError("the runner was disposed");
    return part;
  }
}

function require(good: boolean, what: string, seen: number | undefined): void {
  if (!good) throw new InternalError(`a step's ${what} is ${seen}, outside of the runner's limits`);
}

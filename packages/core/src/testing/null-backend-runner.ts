/**
 * NullRunner: the ModelRunner of the null backend. In: ModelInput; out: a token per row, hashed from the history that
 * it finds in its fake KV cache through the block tables. Made by `nullBackend().loadModel`.
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
  type RunnerMemory,
} from "../contracts/index.js";
import { createModelOutput, type MutableModelOutput } from "../engine/step-buffers.js";
import { DisposedError, EngineRestartedError, InternalError } from "../errors/index.js";
import { hashHistory, hashToken, NullKv, tokenOfHash } from "./null-backend-kv.js";
import { fillNullLogits, logSumExp, writeTop } from "./null-backend-logits.js";

/** Time as the null backend sees it; injected by tests that must not wait. */
export interface NullClock {
  /** Milliseconds, monotonic. */
  now(): number;
  sleep(ms: number): Promise<void>;
}

/** `NullBackendOptions` with its defaults filled in. */
export interface NullRunnerOptions {
  readonly stepMs: number;
  readonly perTokenMs: number;
  readonly vocabSize: number;
  readonly failAt: ReadonlySet<number>;
  readonly nonfiniteAfter: number | undefined;
  readonly clock: NullClock;
  readonly onDispose: (runner: NullRunner) => void;
}

export class NullRunner implements ModelRunner {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  readonly blockBytes: number;
  readonly kvLayout = "null-v1";
  readonly #options: NullRunnerOptions;
  readonly #kv: NullKv;
  readonly #output: MutableModelOutput;
  /** [vocabSize] f32 */
  readonly #row: Float32Array;
  #numExecutes = 0;
  #state: "ready" | "busy" | "lost" | "disposed" = "ready";

  constructor(spec: ModelSpec, limits: ModelLimits, options: NullRunnerOptions) {
    this.spec = spec;
    this.limits = limits;
    this.blockBytes = limits.blockSize * 2 * Int32Array.BYTES_PER_ELEMENT;
    this.#options = options;
    this.#kv = new NullKv(limits.numBlocks, limits.blockSize);
    this.#output = createModelOutput(limits.maxNumSeqs, new Float32Array(0));
    this.#row = new Float32Array(spec.vocabSize);
  }

  async execute(input: ModelInput): Promise<ModelOutput> {
    this.#requireReady();
    const { clock, stepMs, perTokenMs, failAt } = this.#options;
    const start = clock.now();
    const simulated = stepMs + perTokenMs * input.numTokens;
    this.#state = "busy";
    if (simulated > 0) await clock.sleep(simulated);
    this.#requireAlive();
    if (failAt.has(this.#numExecutes++)) this.#lose();
    this.#state = "ready";
    this.#storeTokens(input);
    this.#answerRows(input);
    this.#output.timings.dense = simulated;
    this.#output.timings.total = clock.now() - start;
    return this.#output;
  }

  async copyBlocks(pairs: Int32Array): Promise<void> {
    this.#requireReady();
    for (let i = 0; i < pairs.length; i += 2) this.#kv.copyBlock(pairs[i]!, pairs[i + 1]!);
  }

  async readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void> {
    this.#requireReady();
    const block = new Int32Array(this.limits.blockSize * 2);
    for (const [index, id] of blockIds.entries()) {
      this.#kv.readBlock(id, block);
      into.set(new Uint8Array(block.buffer), index * this.blockBytes);
    }
  }

  async writeBlocks(blockIds: Int32Array, from: Uint8Array): Promise<void> {
    this.#requireReady();
    for (const [index, id] of blockIds.entries()) {
      const bytes = from.slice(index * this.blockBytes, (index + 1) * this.blockBytes);
      this.#kv.writeBlock(id, new Int32Array(bytes.buffer));
    }
  }

  memory(): RunnerMemory {
    return {
      weightBytes: 0,
      kvReservedBytes: this.limits.numBlocks * this.blockBytes,
      kvCommittedBytes: this.#kv.numTouchedBlocks * this.blockBytes,
    };
  }

  async dispose(): Promise<void> {
    if (this.#state === "disposed") return;
    this.#state = "disposed";
    this.#options.onDispose(this);
  }

  async recover(): Promise<void> {
    this.#requireAlive();
    this.#kv.clear();
    this.#state = "ready";
  }

  #storeTokens(input: ModelInput): void {
    for (let t = 0; t < input.numTokens; t++) {
      const slot = input.slotMapping[t]!;
      if (slot >= 0) this.#kv.store(slot, input.inputIds[t]!, input.positions[t]!);
    }
  }

  #answerRows(input: ModelInput): void {
    const output = this.#output;
    output.numRows = input.numRows;
    let numLogitsRows = 0;
    for (let row = 0; row < input.numRows; row++) {
      const hash = this.#hashHistory(input, input.logitsIndices[row]!);
      const token = tokenOfHash(hash, this.#options.vocabSize);
      const failed = input.inputIds[input.logitsIndices[row]!] === this.#options.nonfiniteAfter;
      output.status[row] = failed ? ROW_NONFINITE : ROW_OK;
      output.tokenIds[row] = token;
      const wantsLogits = (input.rowWants[row]! & ROW_LOGITS) !== 0;
      const numLogprobs = input.sampling.numLogprobs[row]!;
      output.logitsRow[row] = wantsLogits ? numLogitsRows++ : -1;
      if (!wantsLogits && numLogprobs < 0) continue;
      fillNullLogits(this.#row, hash, token);
      if (numLogprobs >= 0) this.#giveLogprobs(row, token, numLogprobs);
      if (wantsLogits) this.#giveLogits(output.logitsRow[row]!, failed);
    }
  }

  #giveLogprobs(row: number, token: number, numLogprobs: number): void {
    this.#output.logprobs[row] = this.#row[token]! - logSumExp(this.#row);
    writeTop(this.#row, numLogprobs, row, this.#output.topIds, this.#output.topLogprobs);
  }

  #giveLogits(logitsRow: number, failed: boolean): void {
    const { vocabSize } = this.spec;
    if (this.#output.logits.length < (logitsRow + 1) * vocabSize) {
      const larger = new Float32Array((logitsRow + 1) * 2 * vocabSize);
      larger.set(this.#output.logits);
      this.#output.logits = larger;
    }
    const row = this.#output.logits.subarray(logitsRow * vocabSize, (logitsRow + 1) * vocabSize);
    if (failed) row.fill(NaN);
    else row.set(this.#row);
  }

  /** Over all tokens up to index `t` of the step, in its sequence. */
  #hashHistory(input: ModelInput, t: number): number {
    const seq = sequenceOf(input, t);
    const { blockSize } = this.limits;
    const numPast = input.pastLens[seq]!;
    const firstNew = input.cuSeqlensQ[seq]!;
    const table = seq * input.maxBlocksPerSeq;
    let hash = hashHistory();
    for (let i = 0; i <= numPast + t - firstNew; i++) {
      const fresh = firstNew + i - numPast;
      if (i >= numPast && input.slotMapping[fresh]! < 0) {
        hash = hashToken(hash, input.inputIds[fresh]!, input.positions[fresh]!);
        continue;
      }
      const block = input.blockTables[table + Math.floor(i / blockSize)]!;
      hash = this.#kv.hashSlot(hash, block * blockSize + (i % blockSize));
    }
    return hash;
  }

  #lose(): never {
    this.#state = "lost";
    throw new EngineRestartedError(`null backend: step ${this.#numExecutes - 1} failed as asked by failAt`);
  }

  #requireAlive(): void {
    if (this.#state === "disposed") throw new DisposedError("null backend: the runner was disposed");
  }

  #requireReady(): void {
    this.#requireAlive();
    if (this.#state === "busy") throw new InternalError("null backend: called while a step runs");
    if (this.#state === "lost") throw new EngineRestartedError("null backend: the runner was lost; call recover()");
  }
}

/** Index of the sequence that token `t` of the step belongs to: the last whose first token is at or before it. */
function sequenceOf(input: ModelInput, t: number): number {
  let low = 0;
  let high = input.numSeqs - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (input.cuSeqlensQ[middle]! <= t) low = middle;
    else high = middle - 1;
  }
  return low;
}

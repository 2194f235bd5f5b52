/**
 * BatchingModel: the smallest engine around a scheduler and a block manager, with NullKv as the model. Property tests
 * drive it with random commands; after each it checks the invariants (conservation of blocks, copy-on-write, budgets,
 * one end per sequence, progress), and at every sampled token that the history read back through the block table is
 * the sequence's own. It throws an Error that names what broke.
 */
import type { BlockManager, FinishReason, Scheduler, SchedulerConfig, SchedulerOutput, Sequence } from "../contracts/index.js";
import { EngineSequence } from "../engine/sequence.js";
import { OutOfBlocksError } from "../errors/index.js";
import { hashHistory, NullKv, nullNextToken, tokenOfHash } from "./null-backend-kv.js";

const VOCAB_SIZE = 997;

export interface BatchingModelOptions {
  readonly createBlockManager: (pool: { readonly numBlocks: number; readonly blockSize: number }) => BlockManager;
  readonly createScheduler: (blockManager: BlockManager, config: SchedulerConfig) => Scheduler;
  readonly numBlocks: number;
  readonly blockSize: number;
  readonly config: SchedulerConfig;
}

export class BatchingModel {
  readonly blocks: BlockManager;
  readonly scheduler: Scheduler;
  /** Neither finished nor aborted, in order of arrival. */
  readonly live: EngineSequence[] = [];
  /** Finished ones with their reasons. */
  readonly ended: Map<Sequence, FinishReason> = new Map();
  readonly #config: SchedulerConfig;
  readonly #kv: NullKv;
  #nextId = 0;

  constructor(options: BatchingModelOptions) {
    this.blocks = options.createBlockManager(options);
    this.scheduler = options.createScheduler(this.blocks, options.config);
    this.#config = options.config;
    this.#kv = new NullKv(options.numBlocks, options.blockSize);
  }

  /** @returns undefined when the sequence could never fit; the scheduler must then refuse it */
  add(promptLength: number, maxNewTokens: number, priority = 0): EngineSequence | undefined {
    const seqId = this.#nextId++;
    const promptTokenIds = Array.from({ length: promptLength }, (_, i) => (seqId * 31 + i * 7) % VOCAB_SIZE);
    const seq = new EngineSequence({
      seqId,
      promptTokenIds,
      maxTokens: promptLength + maxNewTokens,
      priority,
    });
    if (this.blocks.canEverFit(seq)) return this.#arrive(seq);
    requireRefused(this.scheduler, seq);
    return undefined;
  }

  /** A child with the parent's computed tokens and one of its own, so that both go on to write the same slot. */
  fork(parent: EngineSequence, maxNewTokens: number): EngineSequence | undefined {
    const seqId = this.#nextId++;
    const numShared = parent.numComputedTokens;
    const promptTokenIds = [...parent.tokenIds.subarray(0, numShared), (seqId * 13) % VOCAB_SIZE];
    const maxTokens = promptTokenIds.length + maxNewTokens;
    const child = new EngineSequence({
      seqId,
      promptTokenIds,
      maxTokens,
      priority: parent.priority,
    });
    if (!this.blocks.canEverFit(child)) return undefined;
    const copies: number[] = [];
    if (parent.numBlocks > 0 && this.blocks.fork(parent, child, copies)) child.numComputedTokens = numShared;
    this.#copy(copies);
    return this.#arrive(child);
  }

  abort(seq: EngineSequence): void {
    this.scheduler.abort(seq);
    this.#end(seq, "aborted");
  }

  /** The KV cache is lost. */
  reset(): void {
    this.scheduler.reset();
    this.#kv.clear();
  }

  /**
   * One engine step. `whileItRuns` is called between schedule() and update(), as aborts, forks and losses may be.
   * @returns new tokens run
   */
  step(whileItRuns?: () => void): number {
    const runnable = this.live.some((seq) => !seq.paused);
    const output = this.scheduler.schedule();
    if (runnable && output.sequences.length === 0) fail("somebody can run and nobody was scheduled");
    this.#checkOutput(output);
    this.#copy(output.copies);
    for (const [i, seq] of output.sequences.entries()) this.#write(seq, output.numScheduledTokens[i]!);
    whileItRuns?.();
    const finished = output.sequences.map((seq, i) => this.#sample(seq as EngineSequence, output.numScheduledTokens[i]!));
    const expected = output.sequences.map((seq, i) => seq.numComputedTokens + output.numScheduledTokens[i]!);
    this.scheduler.update({ scheduled: output, finished });
    for (const [i, seq] of output.sequences.entries()) {
      if (finished[i]) this.#end(seq as EngineSequence, finished[i]);
      else if (seq.status === "running" && seq.numComputedTokens !== expected[i]) {
        fail(`sequence ${seq.seqId} has computed ${seq.numComputedTokens} tokens, not ${expected[i]}`);
      }
    }
    return output.numBatchedTokens;
  }

  /** Resumes and finishes everybody. @returns steps taken */
  drain(maxSteps: number): number {
    for (const seq of this.live) seq.paused = false;
    let numSteps = 0;
    for (; this.live.length > 0; numSteps++) {
      if (numSteps === maxSteps) fail(`${this.live.length} sequences are left after ${maxSteps} steps`);
      this.step();
    }
    this.check();
    const { numFreeBlocks, numBlocks } = this.blocks.stats();
    if (numFreeBlocks !== numBlocks) fail(`drained, but only ${numFreeBlocks} of ${numBlocks} blocks are free`);
    if (this.scheduler.hasUnfinished()) fail("drained, but the scheduler has unfinished sequences");
    return numSteps;
  }

  /** After each command. */
  check(): void {
    const known = [...this.scheduler.sequences()];
    this.blocks.checkIntegrity(known);
    if (known.length !== this.live.length || !this.live.every((seq) => known.includes(seq))) {
      fail(`the scheduler knows ${known.length} sequences, ${this.live.length} are live`);
    }
    const { numRunning, numWaiting } = this.scheduler.stats();
    if (numRunning + numWaiting !== known.length) fail(`${numRunning} running and ${numWaiting} waiting of ${known.length}`);
    if (known.filter((seq) => seq.numBlocks > 0).length > numRunning) fail("a waiting sequence holds blocks");
    for (const seq of known) {
      if (seq.numComputedTokens >= seq.numTokens) fail(`sequence ${seq.seqId} has nothing left to run`);
    }
  }

  #arrive(seq: EngineSequence): EngineSequence {
    this.scheduler.add(seq);
    this.live.push(seq);
    return seq;
  }

  #checkOutput(output: SchedulerOutput): void {
    const { maxNumSeqs, maxNumBatchedTokens, maxPrefillChunk } = this.#config;
    const { sequences, numScheduledTokens } = output;
    const total = numScheduledTokens.reduce((sum, n) => sum + n, 0);
    if (total !== output.numBatchedTokens || total > maxNumBatchedTokens) fail(`${total} tokens in a step`);
    if (sequences.length > maxNumSeqs) fail(`${sequences.length} sequences in a step of at most ${maxNumSeqs}`);
    if (new Set(sequences).size !== sequences.length) fail("a sequence is in a step twice");
    const holders = this.#holders();
    for (const [i, seq] of sequences.entries()) {
      const numTokens = numScheduledTokens[i]!;
      if (this.ended.has(seq) || seq.paused || seq.status !== "running") fail(`sequence ${seq.seqId} cannot run`);
      if (numTokens < 1 || numTokens > Math.min(maxPrefillChunk, seq.numTokens - seq.numComputedTokens)) {
        fail(`sequence ${seq.seqId} was given ${numTokens} tokens`);
      }
      for (let p = seq.numComputedTokens; p < seq.numComputedTokens + numTokens; p++) {
        const block = this.#blockAt(seq, p);
        if (holders[block] !== 1) fail(`sequence ${seq.seqId} writes block ${block}, held ${holders[block]} times`);
      }
    }
  }

  /** [numBlocks] i32, in how many tables each block is */
  #holders(): Int32Array {
    const holders = new Int32Array(this.blocks.numBlocks);
    for (const seq of this.scheduler.sequences()) for (let i = 0; i < seq.numBlocks; i++) holders[seq.blockTable[i]!]!++;
    return holders;
  }

  #copy(pairs: readonly number[]): void {
    for (let i = 0; i < pairs.length; i += 2) this.#kv.copyBlock(pairs[i]!, pairs[i + 1]!);
  }

  #write(seq: Sequence, numTokens: number): void {
    for (let p = seq.numComputedTokens; p < seq.numComputedTokens + numTokens; p++) {
      this.#kv.store(this.#slotAt(seq, p), seq.tokenIds[p]!, p);
    }
  }

  /** Appends the next token where the sequence has caught up. @returns "length" when that was the last */
  #sample(seq: EngineSequence, numScheduled: number): FinishReason | undefined {
    if (seq.status !== "running" || seq.numComputedTokens + numScheduled < seq.numTokens) return undefined;
    let hash = hashHistory();
    for (let p = 0; p < seq.numTokens; p++) hash = this.#kv.hashSlot(hash, this.#slotAt(seq, p));
    const token = tokenOfHash(hash, VOCAB_SIZE);
    if (token !== nullNextToken(seq.tokenIds, seq.numTokens, VOCAB_SIZE)) {
      fail(`sequence ${seq.seqId}: the ${seq.numTokens} tokens in its blocks are not its own`);
    }
    seq.append(token);
    return seq.numTokens === seq.maxTokens ? "length" : undefined;
  }

  #end(seq: EngineSequence, reason: FinishReason): void {
    if (this.ended.has(seq)) fail(`sequence ${seq.seqId} ended twice`);
    if (seq.status !== "finished" || seq.numBlocks > 0) fail(`sequence ${seq.seqId} ended and is ${seq.status}`);
    this.ended.set(seq, reason);
    this.live.splice(this.live.indexOf(seq), 1);
  }

  #blockAt(seq: Sequence, position: number): number {
    const index = Math.floor(position / this.blocks.blockSize);
    if (index >= seq.numBlocks) fail(`sequence ${seq.seqId} has no block for position ${position}`);
    return seq.blockTable[index]!;
  }

  #slotAt(seq: Sequence, position: number): number {
    return this.#blockAt(seq, position) * this.blocks.blockSize + (position % this.blocks.blockSize);
  }
}

/** What the null model gives a sequence that runs alone: the ids after its prompt. */
export function soloOutput(seq: EngineSequence): number[] {
  const ids = [...seq.tokenIds.subarray(0, seq.numPromptTokens)];
  while (ids.length < seq.numTokens) ids.push(nullNextToken(ids, ids.length, VOCAB_SIZE));
  return ids.slice(seq.numPromptTokens);
}

function requireRefused(scheduler: Scheduler, seq: Sequence): void {
  try {
    scheduler.add(seq);
  } catch (error) {
    if (error instanceof OutOfBlocksError) return;
    throw error;
  }
  fail(`sequence ${seq.seqId} can never fit and was accepted`);
}

function fail(message: string): never {
  throw new Error(message);
}

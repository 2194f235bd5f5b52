/**
 * BatchingScheduler: the step loop of our schedulers, which differ in order and admission only. In: sequences, and
 * what came of each step; out: SchedulerOutput. It calls nobody but the block manager.
 *
 * A step: split the token budget over the running batch (TokenBudget) -> take blocks for it, in order, preempting
 * from the end of the order -> admit newcomers with what is left.
 * - Preemption is by recompute: the victim's blocks are freed and it queues again in its place, before everybody who
 *   would go after it. Victims are paused sequences first, then the last of the order. The first of the order is
 *   nobody's victim and a pool as large as its maximum suffices for it, so there is always progress.
 * - Admission leaves headroom (Headroom), so that what was just admitted is not preempted at once.
 */
import type {
  BlockManager,
  Scheduler,
  SchedulerConfig,
  SchedulerOutput,
  SchedulerStats,
  SchedulerUpdate,
  Sequence,
} from "../contracts/index.js";
import { InternalError, OutOfBlocksError } from "../errors/index.js";
import { Headroom } from "./headroom.js";
import { RunningBatch } from "./running-batch.js";
import type { SequenceOrder } from "./sequence-order.js";
import { StepOutput } from "./step-output.js";
import { TokenBudget } from "./token-budget.js";
import { WaitingQueue } from "./waiting-queue.js";

export interface BatchingPolicy {
  readonly order: SequenceOrder;
  /** `continuous`: whenever there is room. `batch`: a batch is gathered, then nobody until all of it has finished. */
  readonly admission: "continuous" | "batch";
}

export class BatchingScheduler implements Scheduler {
  readonly #blocks: BlockManager;
  readonly #policy: BatchingPolicy;
  readonly #budget: TokenBudget;
  readonly #headroom: Headroom;
  readonly #waiting: WaitingQueue;
  readonly #running: RunningBatch;
  readonly #output = new StepOutput();
  #numPreemptions = 0;
  /** Whether newcomers are taken; always true for continuous admission. */
  #open = true;

  /** @throws InvalidOptionsError */
  constructor(blockManager: BlockManager, config: SchedulerConfig, policy: BatchingPolicy) {
    this.#blocks = blockManager;
    this.#policy = policy;
    this.#budget = new TokenBudget(config);
    this.#headroom = new Headroom(blockManager);
    this.#waiting = new WaitingQueue(policy.order);
    this.#running = new RunningBatch(policy.order);
  }

  add(seq: Sequence): void {
    if (this.#running.has(seq) || this.#waiting.has(seq)) {
      throw new InternalError(`sequence ${seq.seqId} was added twice`);
    }
    if (!this.#blocks.canEverFit(seq)) {
      throw new OutOfBlocksError(
        `request ${seq.requestId} may reach ${seq.maxTokens} tokens and the KV cache holds ` +
          `${this.#blocks.numBlocks * this.#blocks.blockSize}; lower its maxTokens or enlarge the cache`,
      );
    }
    seq.status = "waiting";
    if (seq.numBlocks === 0) {
      seq.numComputedTokens = 0;
      this.#waiting.push(seq);
      return;
    }
    // A fork. Logits come from running a token, so the last one is never taken as computed.
    seq.numComputedTokens = Math.min(seq.numComputedTokens, seq.numTokens - 1);
    this.#running.insert(seq);
  }

  abort(seq: Sequence): void {
    if (!this.#running.remove(seq) && !this.#waiting.remove(seq)) return;
    this.#blocks.free(seq);
    seq.status = "finished";
  }

  schedule(): SchedulerOutput {
    this.#output.clear();
    this.#waiting.takeBackResumed();
    this.#budget.nextStep();
    this.#planBatch();
    if (this.#yieldToNewcomers()) this.#planBatch();
    while (!this.#takeBlocks()) this.#planBatch();
    this.#emit();
    this.#admit();
    this.#output.seal();
    return this.#output;
  }

  update(update: SchedulerUpdate): void {
    const { sequences, numScheduledTokens } = update.scheduled;
    let anyFinished = false;
    for (let i = 0; i < sequences.length; i++) {
      const seq = sequences[i]!;
      // Aborted, or sent back by reset(), while the step ran.
      if (seq.status !== "running") continue;
      if (update.finished[i] === undefined) {
        seq.numComputedTokens += numScheduledTokens[i]!;
        continue;
      }
      this.#blocks.free(seq);
      seq.status = "finished";
      anyFinished = true;
    }
    if (anyFinished) this.#running.compact();
  }

  reset(): void {
    for (const seq of this.#running.members) this.#sendBack(seq);
    this.#running.compact();
  }

  hasUnfinished(): boolean {
    return this.#running.size + this.#waiting.size > 0;
  }

  stats(): SchedulerStats {
    return {
      numRunning: this.#running.size,
      numWaiting: this.#waiting.size,
      numPreemptions: this.#numPreemptions,
    };
  }

  *sequences(): Iterable<Sequence> {
    yield* this.#running.members;
    yield* this.#waiting;
  }

  #planBatch(): void {
    this.#budget.measure(this.#running);
    // A batch whose members have finished, or are all paused, holds nobody up.
    if (this.#policy.admission === "batch" && this.#budget.numActive === 0) this.#open = true;
    const newcomer = this.#newcomer();
    const wanted = newcomer && this.#hasRoomFor(newcomer) ? newcomer.numTokens : 0;
    this.#budget.split(this.#running, wanted);
  }

  /** Who would be admitted next, if anybody: open, a seat free, somebody waiting. */
  #newcomer(): Sequence | undefined {
    return this.#open && this.#budget.numActive < this.#budget.maxActive ? this.#waiting.first() : undefined;
  }

  #hasRoomFor(newcomer: Sequence): boolean {
    return this.#headroom.suffices(newcomer, this.#running.size, this.#budget.numOwed);
  }

  /** Makes way for a waiting sequence that outranks running ones. @returns whether the batch changed */
  #yieldToNewcomers(): boolean {
    let changed = false;
    for (;;) {
      const first = this.#open ? this.#waiting.first() : undefined;
      const last = this.#running.last();
      if (!first || !last || !this.#policy.order.outranks(first, last)) return changed;
      if (this.#newcomer() && this.#hasRoomFor(first)) return changed;
      this.#running.remove(last);
      this.#preempt(last);
      this.#budget.measure(this.#running);
      changed = true;
    }
  }

  /**
   * Blocks for what the budget gave each member, in order, so that a victim (paused, or after the member that needs
   * blocks) has not been served yet.
   * @returns false when only victims were found: the budget must be split anew
   */
  #takeBlocks(): boolean {
    const members = this.#running.members;
    const numPreemptedBefore = this.#numPreemptions;
    let anyServed = false;
    for (let i = 0; i < members.length; i++) {
      const numTokens = this.#budget.numTokens[i]!;
      if (numTokens === 0 || members[i]!.status === "preempted") continue;
      if (this.#takeBlocksFor(members[i]!, numTokens)) anyServed = true;
    }
    if (anyServed || this.#numPreemptions === numPreemptedBefore) return true;
    this.#running.compact();
    return false;
  }

  /** @returns false when `seq` itself was preempted */
  #takeBlocksFor(seq: Sequence, numTokens: number): boolean {
    while (!this.#blocks.append(seq, numTokens, this.#output.copies)) {
      const victim = this.#running.victim();
      if (victim === undefined || this.#running.isOnlyHolder(seq)) throw this.#stuck(seq, numTokens);
      this.#preempt(victim);
      if (victim === seq) return false;
    }
    return true;
  }

  /** Rows of one token first, then longer chunks: kernels that tell them apart find each in one piece. */
  #emit(): void {
    const members = this.#running.members;
    const { numTokens } = this.#budget;
    for (let i = 0; i < members.length; i++) {
      if (numTokens[i] === 1 && members[i]!.status !== "preempted") this.#output.add(members[i]!, 1);
    }
    for (let i = 0; i < members.length; i++) {
      if (numTokens[i]! > 1 && members[i]!.status !== "preempted") this.#output.add(members[i]!, numTokens[i]!);
    }
    if (this.#output.preempted.length > 0) this.#running.compact();
  }

  /** Newcomers with the budget that is left. (Who was just preempted needs more blocks than that set free.) */
  #admit(): void {
    while (this.#budget.left > 0) {
      const newcomer = this.#newcomer();
      if (!newcomer || !this.#makeRoomFor(newcomer)) {
        // The batch is full, or nobody is left to join it. (Out of budget, it goes on filling in the next step.)
        if (this.#policy.admission === "batch" && this.#running.size > 0) this.#open = false;
        return;
      }
      this.#start(newcomer);
    }
  }

  /** Paused sequences give way to those that can run. */
  #makeRoomFor(newcomer: Sequence): boolean {
    while (!this.#hasRoomFor(newcomer)) {
      const paused = this.#running.lastPaused();
      if (!paused) return false;
      this.#running.remove(paused);
      this.#preempt(paused);
    }
    return true;
  }

  #start(seq: Sequence): void {
    this.#waiting.remove(seq);
    const { cachedTokens } = this.#blocks.allocate(seq, this.#budget.chunk(seq.numTokens));
    seq.status = "waiting";
    seq.numComputedTokens = cachedTokens;
    this.#running.insert(seq);
    this.#budget.numActive++;
    const remaining = seq.numTokens - cachedTokens;
    let numTokens = this.#budget.chunk(remaining);
    // After a prefix hit the chunk lies further on than what was allocated, and may begin in a shared block.
    if (cachedTokens > 0 && !this.#blocks.append(seq, numTokens, this.#output.copies)) numTokens = 0;
    this.#budget.numOwed += remaining - numTokens;
    this.#budget.left -= numTokens;
    if (numTokens > 0) this.#output.add(seq, numTokens);
  }

  #preempt(seq: Sequence): void {
    this.#sendBack(seq);
    seq.numPreemptions++;
    this.#numPreemptions++;
    this.#output.preempted.push(seq);
  }

  #sendBack(seq: Sequence): void {
    this.#blocks.free(seq);
    seq.numComputedTokens = 0;
    seq.status = "preempted";
    this.#waiting.push(seq);
  }

  #stuck(seq: Sequence, numTokens: number): InternalError {
    const { numFreeBlocks, numBlocks } = this.#blocks.stats();
    return new InternalError(
      `sequence ${seq.seqId} is alone and gets no blocks for ${numTokens} tokens after ${seq.numComputedTokens}; ` +
        `${numFreeBlocks} of ${numBlocks} are free, and canEverFit said that they suffice`,
    );
  }
}

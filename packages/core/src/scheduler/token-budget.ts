/**
 * TokenBudget: splits the tokens of one step over the running batch. In: the batch and what a newcomer wants; out:
 * new tokens per member. It looks at lengths only, not at blocks.
 *
 * Decodes come first, one token each, but not all of the budget while somebody has prefill to do:
 * - Prefill is not starved: an eighth of maxNumBatchedTokens (at least one token) is kept for it each step, so P
 *   tokens of prefill at the head of the line end within ceil(P / max(1, floor(maxNumBatchedTokens / 8))) steps,
 *   or P / maxPrefillChunk where that is smaller. With a budget of 1, every other step is kept.
 * - Decodes are not starved: they have the rest to themselves and take turns when it is not enough for all D of
 *   them; each runs at least once in ceil(D / rest) steps.
 */
import type { SchedulerConfig, Sequence } from "../contracts/index.js";
import { InvalidOptionsError } from "../errors/index.js";
import type { RunningBatch } from "./running-batch.js";

const PREFILL_SHARE = 8;

export class TokenBudget {
  readonly #config: SchedulerConfig;
  /** [batch size] i32, new tokens per member, by index; 0 = not in this step */
  numTokens: Int32Array = new Int32Array(64);
  /** Not used by the batch. */
  left = 0;
  /** Members that are not paused. */
  numActive = 0;
  /** Prefill tokens that the batch still has to run after this step; they will need blocks. */
  numOwed = 0;
  #numDecodes = 0;
  #numPrefills = 0;
  /** What the prefills could use in one step. */
  #prefillWanted = 0;
  #step = 0;
  /** The decode served last when there was not enough for all. */
  #lastServed: Sequence | undefined;

  /** @throws InvalidOptionsError unless each limit is an integer >= 1 */
  constructor(config: SchedulerConfig) {
    const { maxNumSeqs, maxNumBatchedTokens, maxPrefillChunk } = config;
    for (const [name, value] of Object.entries({
      maxNumSeqs,
      maxNumBatchedTokens,
      maxPrefillChunk,
    })) {
      if (Number.isSafeInteger(value) && value >= 1) continue;
      throw new InvalidOptionsError(`${name} is ${value}; it must be an integer of at least 1`);
    }
    this.#config = config;
  }

  /** Sequences that may run side by side with a token each. */
  get maxActive(): number {
    return Math.min(this.#config.maxNumSeqs, this.#config.maxNumBatchedTokens);
  }

  /** Once per step, before measure(). */
  nextStep(): void {
    this.#step++;
  }

  /** Counts what the batch wants. */
  measure(batch: RunningBatch): void {
    if (this.numTokens.length < batch.size) this.numTokens = new Int32Array(batch.size * 2);
    this.numActive = 0;
    this.numOwed = 0;
    this.#numDecodes = 0;
    this.#numPrefills = 0;
    this.#prefillWanted = 0;
    for (const seq of batch.members) {
      if (seq.paused) continue;
      this.numActive++;
      const remaining = seq.numTokens - seq.numComputedTokens;
      if (remaining <= 1) {
        this.#numDecodes++;
        continue;
      }
      this.#numPrefills++;
      this.numOwed += remaining;
      this.#prefillWanted += Math.min(remaining, this.#config.maxPrefillChunk);
    }
  }

  /** Gives out the budget, after measure(). @param newcomerWants tokens that an admission would use */
  split(batch: RunningBatch, newcomerWants: number): void {
    const { maxNumSeqs, maxNumBatchedTokens } = this.#config;
    const keptTokens = Math.min(this.#prefillWanted + newcomerWants, this.#share(maxNumBatchedTokens));
    const keptSeats = Math.min(this.#numPrefills, this.#share(maxNumSeqs));
    const room = Math.min(maxNumBatchedTokens - keptTokens, maxNumSeqs - keptSeats);
    this.numTokens.fill(0, 0, batch.size);
    this.left = maxNumBatchedTokens;
    const numServed = this.#numDecodes <= room ? this.#serveAll(batch) : this.#serveInTurn(batch, room);
    this.#servePrefills(batch, maxNumSeqs - numServed);
  }

  /** Tokens of the next chunk of a sequence with `remaining` tokens to run. */
  chunk(remaining: number): number {
    return Math.min(remaining, this.#config.maxPrefillChunk, this.left);
  }

  #share(total: number): number {
    return total === 1 ? this.#step % 2 : Math.max(1, Math.floor(total / PREFILL_SHARE));
  }

  #serveAll(batch: RunningBatch): number {
    const members = batch.members;
    for (let i = 0; i < members.length; i++) if (isDecode(members[i]!)) this.numTokens[i] = 1;
    this.left -= this.#numDecodes;
    return this.#numDecodes;
  }

  /** Round-robin in the batch's order, going on after whoever was served last, even if that one has left. */
  #serveInTurn(batch: RunningBatch, room: number): number {
    const members = batch.members;
    let index = this.#lastServed ? batch.indexOf(this.#lastServed) : 0;
    if (members[index] === this.#lastServed) index++;
    let numServed = 0;
    for (; numServed < room; index++) {
      if (index >= members.length) index = 0;
      const seq = members[index]!;
      if (!isDecode(seq)) continue;
      this.numTokens[index] = 1;
      this.#lastServed = seq;
      numServed++;
    }
    this.left -= numServed;
    return numServed;
  }

  #servePrefills(batch: RunningBatch, seats: number): void {
    const members = batch.members;
    let seatsLeft = seats;
    for (let i = 0; i < members.length && this.left > 0 && seatsLeft > 0; i++) {
      const seq = members[i]!;
      if (seq.paused || isDecode(seq)) continue;
      const numTokens = this.chunk(seq.numTokens - seq.numComputedTokens);
      this.numTokens[i] = numTokens;
      this.left -= numTokens;
      this.numOwed -= numTokens;
      seatsLeft--;
    }
  }
}

/** One token to run: a decode, or the end of a prefill, which costs the same. */
function isDecode(seq: Sequence): boolean {
  return !seq.paused && seq.numTokens - seq.numComputedTokens <= 1;
}

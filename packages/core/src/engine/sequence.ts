/**
 * EngineSequence: the ids of one request, prompt then output, and what scheduler and block manager note about it.
 * The engine makes one per request (and per fork) and appends what was sampled; streams, sampling parameters and
 * text live elsewhere.
 */
import type { Sequence, SequenceStatus } from "../contracts/index.js";
import { InternalError } from "../errors/index.js";

/** Plain values, so that a test can make one in a line. */
export interface SequenceInit {
  readonly seqId: number;
  /** Copied. */
  readonly promptTokenIds: ArrayLike<number>;
  /** Prompt and output together, at least the prompt's length. */
  readonly maxTokens: number;
  /** Default: `seq-<seqId>`. */
  readonly requestId?: string;
  /** Default 0. */
  readonly priority?: number;
  /** Milliseconds. Default 0. */
  readonly arrivalTime?: number;
}

/** Output tokens that fit before the ids are first moved to a larger array. */
const INITIAL_ROOM = 32;
const NO_BLOCKS = new Int32Array(0);

/** The engine's Sequence. Appending is O(1) amortised; ids take 4 bytes each, doubling up to maxTokens. */
export class EngineSequence implements Sequence {
  readonly seqId: number;
  readonly requestId: string;
  readonly priority: number;
  readonly arrivalTime: number;
  readonly numPromptTokens: number;
  readonly maxTokens: number;

  paused = false;
  status: SequenceStatus = "waiting";
  numComputedTokens = 0;
  numPreemptions = 0;
  /** [>= numBlocks] i32 */
  blockTable: Int32Array = NO_BLOCKS;
  numBlocks = 0;

  /** [>= numTokens] i32 */
  #tokenIds: Int32Array;
  #numTokens: number;

  /** @throws InternalError when the prompt is empty or longer than maxTokens: requests are validated before */
  constructor(init: SequenceInit) {
    const promptLength = init.promptTokenIds.length;
    if (promptLength === 0 || promptLength > init.maxTokens) {
      throw new InternalError(
        `sequence ${init.seqId}: a prompt of ${promptLength} tokens; it must have 1 to maxTokens = ${init.maxTokens}`,
      );
    }
    this.seqId = init.seqId;
    this.requestId = init.requestId ?? `seq-${init.seqId}`;
    this.priority = init.priority ?? 0;
    this.arrivalTime = init.arrivalTime ?? 0;
    this.numPromptTokens = promptLength;
    this.maxTokens = init.maxTokens;
    this.#tokenIds = new Int32Array(Math.min(init.maxTokens, promptLength + INITIAL_ROOM));
    this.#tokenIds.set(init.promptTokenIds);
    this.#numTokens = promptLength;
  }

  get tokenIds(): Int32Array {
    return this.#tokenIds;
  }

  get numTokens(): number {
    return this.#numTokens;
  }

  get numOutputTokens(): number {
    return this.#numTokens - this.numPromptTokens;
  }

  /** The output ids so far: a view, valid until the next append. */
  get outputTokenIds(): Int32Array {
    return this.#tokenIds.subarray(this.numPromptTokens, this.#numTokens);
  }

  /** Whether its first ids are these. */
  startsWith(ids: ArrayLike<number>): boolean {
    if (ids.length > this.#numTokens) return false;
    for (let i = 0; i < ids.length; i++) if (this.#tokenIds[i] !== ids[i]) return false;
    return true;
  }

  /** @throws InternalError beyond maxTokens */
  append(tokenId: number): void {
    if (this.#numTokens >= this.maxTokens) {
      throw new InternalError(`sequence ${this.seqId}: token appended beyond maxTokens = ${this.maxTokens}`);
    }
    if (this.#numTokens === this.#tokenIds.length) this.#grow();
    this.#tokenIds[this.#numTokens++] = tokenId;
  }

  #grow(): void {
    const larger = new Int32Array(Math.min(this.maxTokens, this.#tokenIds.length * 2));
    larger.set(this.#tokenIds);
    this.#tokenIds = larger;
  }
}

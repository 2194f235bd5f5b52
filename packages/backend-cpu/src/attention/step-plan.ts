/**
 * The work of a step for one head arrangement: items of query tokens and heads, longest first, and the tokens whose
 * k and v must be stored before any item starts. Written once per step into the kernels' memory; its layers follow it.
 * How the work is cut changes who computes a row and when, never its bits.
 */
import type { ModelInput } from "@weir/core";
import * as abi from "./kernel-abi.js";
import type { MemoryPlan, StepAddresses } from "./memory-plan.js";

/** Sort keys are cost * this + tile. */
const MAX_TILES = 2 ** 22;
/** Enough items per thread that the last ones end at about the same time. */
const ITEMS_PER_THREAD = 8;
/** K and V of a tile that an item reads ahead: half of a usual L2 cache. */
const MAX_TILE_BYTES = 512 * 1024;

export class StepPlan {
  /** Query-key pairs of the step, summed over sequences, per head. */
  pairs = 0;
  readonly #words: Int32Array;
  readonly #at: StepAddresses;
  readonly #tables: number;
  readonly #tableBytes: number;
  readonly #threads: number;
  readonly #tokensPerTile: number;
  /** [tiles] f64 sort keys; per tile its sequence and its first token there */
  readonly #keys: Float64Array;
  readonly #tileSeq: Int32Array;
  readonly #tileStart: Int32Array;
  #numTiles = 0;
  #numItems = 0;
  #numStores = 0;

  constructor(words: Int32Array, at: StepAddresses, memory: MemoryPlan, threads: number) {
    this.#words = words;
    this.#at = at;
    this.#tables = memory.tables;
    this.#tableBytes = memory.maxBlocksPerSeq * 4;
    this.#threads = threads;
    this.#tokensPerTile = tokensPerTile(at.group);
    this.#keys = new Float64Array(at.maxTiles);
    this.#tileSeq = new Int32Array(at.maxTiles);
    this.#tileStart = new Int32Array(at.maxTiles);
    this.#set(abi.PLAN_ITEMS, at.items);
    this.#set(abi.PLAN_STORES, at.stores);
    this.#set(abi.PLAN_POSITIONS, memory.positions);
    this.#set(abi.PLAN_SLOTS, memory.slots);
    this.#set(abi.PLAN_SCRATCH, memory.scratch);
    this.#set(abi.PLAN_SCRATCH_STRIDE, memory.scratchStride);
  }

  /** Reads lengths and offsets of the step; the block tables are already in memory. */
  build(input: ModelInput): void {
    this.#cutTiles(input);
    this.#numItems = 0;
    this.#numStores = 0;
    const keys = this.#keys.subarray(0, this.#numTiles).sort();
    for (let i = this.#numTiles - 1; i >= 0; i--) this.#addItems(input, keys[i]! % MAX_TILES);
    this.#set(abi.PLAN_NUM_ITEMS, this.#numItems);
    this.#set(abi.PLAN_NUM_STORES, this.#numStores);
  }

  #cutTiles({ numSeqs, cuSeqlensQ, pastLens }: ModelInput): void {
    this.#numTiles = 0;
    this.pairs = 0;
    for (let seq = 0; seq < numSeqs; seq++) {
      const newTokens = cuSeqlensQ[seq + 1]! - cuSeqlensQ[seq]!;
      for (let start = 0; start < newTokens; start += this.#tokensPerTile) {
        const tokens = Math.min(this.#tokensPerTile, newTokens - start);
        const cost = tokens * (pastLens[seq]! + start + tokens);
        this.#keys[this.#numTiles] = cost * MAX_TILES + this.#numTiles;
        this.#tileSeq[this.#numTiles] = seq;
        this.#tileStart[this.#numTiles++] = start;
        this.pairs += cost;
      }
    }
  }

  /** All kv heads of a tile in one item where rows are few, since a block's heads lie behind each other in memory. */
  #addItems(input: ModelInput, tile: number): void {
    const { group, kvHeads, tileBytes } = this.#at;
    const seq = this.#tileSeq[tile]!;
    const start = this.#tileStart[tile]!;
    const newTokens = input.cuSeqlensQ[seq + 1]! - input.cuSeqlensQ[seq]!;
    const tokens = Math.min(this.#tokensPerTile, newTokens - start);
    const wanted = this.#threads === 1 ? 1 : Math.ceil((ITEMS_PER_THREAD * this.#threads) / this.#numTiles);
    const room = Math.min(Math.floor(abi.MAX_ROWS / (tokens * group)), Math.floor(MAX_TILE_BYTES / tileBytes));
    const kvPerItem = Math.max(1, Math.min(room, Math.ceil(kvHeads / wanted)));
    const splits = this.#threads === 1 ? 1 : Math.min(group, Math.ceil((2 * this.#threads) / (this.#numTiles * kvHeads)));
    const storesItself = splits === 1 && newTokens <= this.#tokensPerTile;
    if (!storesItself) this.#addStore(input.cuSeqlensQ[seq]! + start, tokens);
    for (let kvHead = 0; kvHead < kvHeads; kvHead += kvPerItem) {
      for (let split = 0; split < splits; split++) {
        const at = (this.#at.items + this.#numItems++ * abi.ITEM_BYTES) >>> 2;
        const head = Math.floor((group * split) / splits);
        this.#words[at + (abi.ITEM_FIRST_TOKEN >> 2)] = input.cuSeqlensQ[seq]! + start;
        this.#words[at + (abi.ITEM_NUM_TOKENS >> 2)] = tokens;
        this.#words[at + (abi.ITEM_PAST_LEN >> 2)] = input.pastLens[seq]! + start;
        this.#words[at + (abi.ITEM_BLOCK_TABLE >> 2)] = this.#tables + seq * this.#tableBytes;
        this.#words[at + (abi.ITEM_KV_HEAD >> 2)] = kvHead;
        this.#words[at + (abi.ITEM_NUM_KV_HEADS >> 2)] = Math.min(kvPerItem, kvHeads - kvHead);
        this.#words[at + (abi.ITEM_HEAD >> 2)] = head;
        this.#words[at + (abi.ITEM_NUM_HEADS >> 2)] = Math.floor((group * (split + 1)) / splits) - head;
        this.#words[at + (abi.ITEM_STORES >> 2)] = Number(storesItself);
      }
    }
  }

  #addStore(token: number, tokens: number): void {
    const at = (this.#at.stores + this.#numStores++ * abi.STORE_BYTES) >>> 2;
    this.#words[at + (abi.STORE_FIRST_TOKEN >> 2)] = token;
    this.#words[at + (abi.STORE_NUM_TOKENS >> 2)] = tokens;
  }

  #set(field: number, value: number): void {
    this.#words[(this.#at.plan + field) >>> 2] = value;
  }
}

/** Query tokens that share a pass over K and V. */
export function tokensPerTile(group: number): number {
  return Math.max(1, Math.floor(abi.ROWS_PER_ITEM / group));
}

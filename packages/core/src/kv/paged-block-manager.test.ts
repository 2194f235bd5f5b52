import { describe, expect, it } from "vitest";
import { EngineSequence } from "../engine/sequence.js";
import { InternalError, InvalidOptionsError, OutOfBlocksError } from "../errors/index.js";
import { PagedBlockManager } from "./paged-block-manager.js";

let nextId = 0;

function sequence(numTokens: number, maxTokens = 1000): EngineSequence {
  return new EngineSequence({
    seqId: nextId++,
    promptTokenIds: new Int32Array(numTokens),
    maxTokens,
  });
}

function table(seq: EngineSequence): number[] {
  return [...seq.blockTable.subarray(0, seq.numBlocks)];
}

/** A sequence that holds blocks for `numTokens` and has computed them all. */
function computed(blocks: PagedBlockManager, numTokens: number): EngineSequence {
  const seq = sequence(numTokens);
  blocks.allocate(seq, numTokens);
  seq.numComputedTokens = numTokens;
  return seq;
}

describe("PagedBlockManager", () => {
  it("gives a block per started blockSize tokens and takes a new one only at a border", () => {
    const blocks = new PagedBlockManager({ numBlocks: 4, blockSize: 4 });
    const seq = computed(blocks, 3);
    const copies: number[] = [];
    expect(table(seq)).toEqual([0]);
    expect(blocks.append(seq, 1, copies)).toBe(true);
    expect(table(seq)).toEqual([0]);
    seq.numComputedTokens = 4;
    expect(blocks.append(seq, 5, copies)).toBe(true);
    expect(table(seq)).toEqual([0, 1, 2]);
    expect(copies).toEqual([]);
    blocks.checkIntegrity([seq]);
  });

  it("reuses the blocks freed last before it touches new ones", () => {
    const blocks = new PagedBlockManager({ numBlocks: 100, blockSize: 1 });
    const first = computed(blocks, 3);
    const second = computed(blocks, 2);
    expect([table(first), table(second)]).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
    blocks.free(first);
    expect(table(computed(blocks, 4))).toEqual([0, 1, 2, 5]);
  });

  it("shares every computed block with a fork, the partly filled last one too, without copies", () => {
    const blocks = new PagedBlockManager({ numBlocks: 8, blockSize: 4 });
    const parent = computed(blocks, 6);
    const child = sequence(7);
    const copies: number[] = [];
    expect(blocks.fork(parent, child, copies)).toBe(true);
    child.numComputedTokens = 6;
    expect(table(child)).toEqual(table(parent));
    expect(copies).toEqual([]);
    expect(blocks.stats()).toMatchObject({ numFreeBlocks: 6, numSharedBlocks: 2 });
    blocks.checkIntegrity([parent, child]);
  });

  it("copies a shared last block for whoever writes it first, and then lets the other write in place", () => {
    const blocks = new PagedBlockManager({ numBlocks: 8, blockSize: 4 });
    const parent = computed(blocks, 6);
    const child = sequence(7);
    const copies: number[] = [];
    blocks.fork(parent, child, copies);
    child.numComputedTokens = 6;
    expect(blocks.append(parent, 1, copies)).toBe(true);
    expect([table(parent), table(child), copies]).toEqual([
      [0, 2],
      [0, 1],
      [1, 2],
    ]);
    expect(blocks.append(child, 1, copies)).toBe(true);
    expect([table(child), copies]).toEqual([
      [0, 1],
      [1, 2],
    ]);
    expect(blocks.stats().numSharedBlocks).toBe(1);
    blocks.checkIntegrity([parent, child]);
  });

  it("copies nothing when the new token starts a block of its own", () => {
    const blocks = new PagedBlockManager({ numBlocks: 8, blockSize: 4 });
    const parent = computed(blocks, 4);
    const child = sequence(5);
    const copies: number[] = [];
    blocks.fork(parent, child, copies);
    child.numComputedTokens = 4;
    expect(blocks.append(child, 1, copies)).toBe(true);
    expect([table(child), copies]).toEqual([[0, 1], []]);
  });

  it("changes nothing when an append lacks blocks, for new tokens or for the copy", () => {
    const blocks = new PagedBlockManager({ numBlocks: 2, blockSize: 4 });
    const parent = computed(blocks, 6);
    const child = sequence(7);
    const copies: number[] = [];
    blocks.fork(parent, child, copies);
    child.numComputedTokens = 6;
    expect(blocks.append(child, 1, copies)).toBe(false);
    expect(blocks.append(parent, 3, copies)).toBe(false);
    expect([table(parent), table(child), copies]).toEqual([[0, 1], [0, 1], []]);
    blocks.free(child);
    expect(blocks.append(parent, 2, copies)).toBe(true);
    expect(copies).toEqual([]);
  });

  it("frees a shared block only with its last holder", () => {
    const blocks = new PagedBlockManager({ numBlocks: 4, blockSize: 4 });
    const parent = computed(blocks, 8);
    const child = sequence(9);
    blocks.fork(parent, child, []);
    blocks.free(parent);
    expect(blocks.stats()).toMatchObject({ numFreeBlocks: 2, numSharedBlocks: 0 });
    blocks.free(child);
    blocks.free(child);
    expect(blocks.stats().numFreeBlocks).toBe(4);
    blocks.checkIntegrity([]);
  });

  it("says what is missing when allocate is called without room", () => {
    const blocks = new PagedBlockManager({ numBlocks: 2, blockSize: 4 });
    expect(blocks.canAllocate(sequence(9), 9)).toBe(false);
    expect(() => blocks.allocate(sequence(9), 9)).toThrow(OutOfBlocksError);
    expect(() => blocks.allocate(sequence(9), 9)).toThrow(/9 tokens need 3 KV blocks and 2 of 2 are free/);
  });

  it("knows which sequences can never fit", () => {
    const blocks = new PagedBlockManager({ numBlocks: 2, blockSize: 4 });
    expect(blocks.canEverFit(sequence(1, 8))).toBe(true);
    expect(blocks.canEverFit(sequence(1, 9))).toBe(false);
  });

  it("refuses to free a block twice, and to give blocks to a sequence that has some", () => {
    const blocks = new PagedBlockManager({ numBlocks: 4, blockSize: 4 });
    const seq = computed(blocks, 4);
    const impostor = sequence(4);
    impostor.blockTable = seq.blockTable;
    impostor.numBlocks = 1;
    blocks.free(seq);
    expect(() => blocks.free(impostor)).toThrow(InternalError);
    expect(() => blocks.allocate(impostor, 4)).toThrow(/already holds 1 KV blocks/);
  });

  it("finds tables that disagree with its counts", () => {
    const blocks = new PagedBlockManager({ numBlocks: 4, blockSize: 4 });
    const seq = computed(blocks, 8);
    expect(() => blocks.checkIntegrity([])).toThrow(/block 0 has reference count 1 and is in 0 tables/);
    seq.blockTable[1] = 0;
    expect(() => blocks.checkIntegrity([seq])).toThrow(/block 0 twice/);
    seq.blockTable[1] = 4;
    expect(() => blocks.checkIntegrity([seq])).toThrow(/block 4 at 1; the pool has 4/);
    seq.blockTable[1] = 1;
    seq.numComputedTokens = 9;
    expect(() => blocks.checkIntegrity([seq])).toThrow(/9 computed tokens in 2 blocks/);
    seq.numComputedTokens = 8;
    blocks.checkIntegrity([seq]);
  });

  it.each([
    [0, 4],
    [4, 0],
    [1.5, 4],
    [4, Number.NaN],
  ])("refuses a pool of %s blocks of %s tokens", (numBlocks, blockSize) => {
    expect(() => new PagedBlockManager({ numBlocks, blockSize })).toThrow(InvalidOptionsError);
  });
});

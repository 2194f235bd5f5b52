import { describe, expect, it } from "vitest";
import { EngineSequence } from "../engine/sequence.js";
import { InternalError, OutOfBlocksError } from "../errors/index.js";
import { ContiguousBlockManager } from "./contiguous-block-manager.js";
import { PagedBlockManager } from "./paged-block-manager.js";

let nextId = 0;

function sequence(numTokens: number, maxTokens: number): EngineSequence {
  return new EngineSequence({
    seqId: nextId++,
    promptTokenIds: new Int32Array(numTokens),
    maxTokens,
  });
}

function table(seq: EngineSequence): number[] {
  return [...seq.blockTable.subarray(0, seq.numBlocks)];
}

describe("ContiguousBlockManager", () => {
  it("reserves a sequence's maximum as one run, so that appends never fail", () => {
    const blocks = new ContiguousBlockManager({ numBlocks: 10, blockSize: 4 });
    const seq = sequence(1, 13);
    blocks.allocate(seq, 1);
    expect(table(seq)).toEqual([0, 1, 2, 3]);
    expect(blocks.append(seq, 16, [])).toBe(true);
    expect(() => blocks.append(seq, 17, [])).toThrow(InternalError);
    blocks.checkIntegrity([seq]);
  });

  it("takes the first run that is long enough, and merges runs when they are freed", () => {
    const blocks = new ContiguousBlockManager({ numBlocks: 10, blockSize: 1 });
    const seqs = [2, 3, 2].map((n) => sequence(1, n));
    for (const seq of seqs) blocks.allocate(seq, 1);
    blocks.free(seqs[1]!);
    blocks.checkIntegrity([seqs[0]!, seqs[2]!]);
    const four = sequence(1, 4);
    expect(blocks.canAllocate(four, 1)).toBe(false);
    expect(() => blocks.allocate(four, 1)).toThrow(OutOfBlocksError);
    expect(() => blocks.allocate(four, 1)).toThrow(/4 KV blocks in a row; the longest free run has 3 of 10/);
    blocks.free(seqs[2]!);
    blocks.allocate(four, 1);
    expect(table(four)).toEqual([2, 3, 4, 5]);
    blocks.free(seqs[0]!);
    blocks.free(four);
    blocks.checkIntegrity([]);
    const all = sequence(1, 10);
    blocks.allocate(all, 1);
    expect(all.numBlocks).toBe(10);
  });

  it("gives a fork a run of its own and copies the computed blocks", () => {
    const blocks = new ContiguousBlockManager({ numBlocks: 6, blockSize: 4 });
    const parent = sequence(5, 12);
    blocks.allocate(parent, 5);
    parent.numComputedTokens = 5;
    const copies: number[] = [];
    const child = sequence(6, 12);
    expect(blocks.fork(parent, child, copies)).toBe(true);
    expect([table(child), copies]).toEqual([
      [3, 4, 5],
      [0, 3, 1, 4],
    ]);
    expect(blocks.fork(parent, sequence(6, 12), copies)).toBe(false);
    expect(copies).toHaveLength(4);
  });

  it("refuses to free a run twice", () => {
    const blocks = new ContiguousBlockManager({ numBlocks: 6, blockSize: 1 });
    const seq = sequence(1, 4);
    blocks.allocate(seq, 1);
    const impostor = sequence(1, 4);
    impostor.blockTable = seq.blockTable.slice();
    impostor.numBlocks = 2;
    blocks.free(seq);
    expect(() => blocks.free(impostor)).toThrow(/KV blocks 0 to 1 freed twice/);
    blocks.checkIntegrity([]);
  });

  it("holds a fraction of the sequences that paging holds in the same memory", () => {
    const pool = { numBlocks: 128, blockSize: 16 };
    const count = (blocks: PagedBlockManager | ContiguousBlockManager): number => {
      for (let n = 0; ; n++) {
        const seq = sequence(40, 512);
        if (!blocks.canAllocate(seq, 40)) return n;
        blocks.allocate(seq, 40);
      }
    };
    expect(count(new ContiguousBlockManager(pool))).toBe(4);
    expect(count(new PagedBlockManager(pool))).toBe(42);
  });
});

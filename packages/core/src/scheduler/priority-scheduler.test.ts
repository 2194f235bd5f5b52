import { describe, expect, it } from "vitest";
import type { SchedulerConfig } from "../contracts/index.js";
import { PagedBlockManager } from "../kv/index.js";
import { BatchingModel, soloOutput } from "../testing/block-manager-model.js";
import { PriorityScheduler } from "./priority-scheduler.js";

function setup(numBlocks: number, config: Partial<SchedulerConfig> = {}): BatchingModel {
  return new BatchingModel({
    createBlockManager: (pool) => new PagedBlockManager(pool),
    createScheduler: (blocks, schedulerConfig) => new PriorityScheduler(blocks, schedulerConfig),
    numBlocks,
    blockSize: 2,
    config: { maxNumSeqs: 2, maxNumBatchedTokens: 32, maxPrefillChunk: 32, ...config },
  });
}

describe("PriorityScheduler", () => {
  it("admits the smallest priority first, and by arrival among equals", () => {
    const model = setup(100, { maxNumSeqs: 3 });
    for (const priority of [1, 0, 1, -5, 0]) model.add(2, 2, priority);
    expect(model.scheduler.schedule().sequences.map((seq) => seq.seqId)).toEqual([3, 1, 4]);
  });

  it("gives a seat to who outranks a running sequence, and takes it from the largest priority", () => {
    const model = setup(100);
    const [low, middle] = [model.add(3, 8, 9)!, model.add(3, 8, 5)!];
    model.step();
    const high = model.add(3, 2, 1)!;
    model.step();
    expect([low.status, middle.status, high.status]).toEqual(["preempted", "running", "running"]);
    model.drain(50);
    for (const seq of [low, middle, high]) expect([...seq.outputTokenIds]).toEqual(soloOutput(seq));
    expect([...model.ended.keys()].indexOf(low)).toBe(2);
  });

  it("does not preempt for equals", () => {
    const model = setup(100);
    for (let i = 0; i < 3; i++) model.add(3, 8, 4);
    model.step();
    model.step();
    expect(model.scheduler.stats()).toEqual({ numRunning: 2, numWaiting: 1, numPreemptions: 0 });
  });

  it("takes blocks from the largest priority when it runs short, though it arrived first", () => {
    const model = setup(8);
    const low = model.add(5, 10, 7)!;
    const high = model.add(5, 10, 0)!;
    model.drain(100);
    expect(high.numPreemptions).toBe(0);
    expect(low.numPreemptions).toBeGreaterThan(0);
    expect([...model.ended.keys()]).toEqual([high, low]);
  });

  it("makes room for a small priority whose prompt does not fit beside what runs", () => {
    const model = setup(8, { maxNumSeqs: 8 });
    const low = model.add(9, 3, 7)!;
    model.step();
    const high = model.add(9, 3, 0)!;
    model.step();
    expect([low.status, high.status]).toEqual(["preempted", "running"]);
    model.drain(50);
  });
});

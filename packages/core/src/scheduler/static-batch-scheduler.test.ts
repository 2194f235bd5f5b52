import { describe, expect, it } from "vitest";
import type { BlockManager, Scheduler, SchedulerConfig } from "../contracts/index.js";
import { PagedBlockManager } from "../kv/index.js";
import { BatchingModel } from "../testing/block-manager-model.js";
import { FcfsScheduler } from "./fcfs-scheduler.js";
import { StaticBatchScheduler } from "./static-batch-scheduler.js";

type SchedulerClass = new (blockManager: BlockManager, config: SchedulerConfig) => Scheduler;

function setup(Scheduler: SchedulerClass, config: Partial<SchedulerConfig> = {}, numBlocks = 400): BatchingModel {
  return new BatchingModel({
    createBlockManager: (pool) => new PagedBlockManager(pool),
    createScheduler: (blocks, schedulerConfig) => new Scheduler(blocks, schedulerConfig),
    numBlocks,
    blockSize: 4,
    config: { maxNumSeqs: 4, maxNumBatchedTokens: 32, maxPrefillChunk: 32, ...config },
  });
}

describe("StaticBatchScheduler", () => {
  it("admits nobody until the whole batch has finished", () => {
    const model = setup(StaticBatchScheduler);
    const batch = [1, 2, 6].map((maxNew) => model.add(3, maxNew)!);
    model.step();
    const late = model.add(3, 1)!;
    for (let i = 0; i < 5; i++) {
      expect(late.status).toBe("waiting");
      model.step();
    }
    expect(batch.every((seq) => model.ended.has(seq))).toBe(true);
    model.step();
    expect(model.ended.has(late)).toBe(true);
  });

  it("goes on gathering the batch in the next step when only the token budget stopped it", () => {
    const model = setup(StaticBatchScheduler, { maxNumBatchedTokens: 10, maxPrefillChunk: 10 });
    for (let i = 0; i < 6; i++) model.add(8, 30);
    for (let i = 0; i < 8; i++) model.step();
    expect(model.scheduler.stats()).toMatchObject({ numRunning: 4, numWaiting: 2 });
  });

  it("holds nobody up for a batch that is paused", () => {
    const model = setup(StaticBatchScheduler);
    const slow = model.add(3, 9)!;
    model.step();
    slow.paused = true;
    const next = model.add(3, 1)!;
    model.step();
    expect(model.ended.has(next)).toBe(true);
    model.drain(20);
  });

  it("needs more steps than continuous batching for the same requests of mixed lengths", () => {
    const steps = (Scheduler: SchedulerClass): number => {
      const model = setup(Scheduler);
      for (let i = 0; i < 32; i++) model.add(4, i % 4 === 0 ? 60 : 4);
      return model.drain(5000);
    };
    expect(steps(StaticBatchScheduler)).toBeGreaterThan(2 * steps(FcfsScheduler));
  });
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BlockManager, SchedulerConfig } from "../contracts/index.js";
import { ContiguousBlockManager, PagedBlockManager } from "../kv/index.js";
import { FcfsScheduler, PriorityScheduler, StaticBatchScheduler } from "../scheduler/index.js";
import { checkBatching } from "./block-manager-model-commands.js";

for (const Scheduler of [FcfsScheduler, PriorityScheduler, StaticBatchScheduler]) {
  for (const Blocks of [PagedBlockManager, ContiguousBlockManager]) {
    describe(`${Scheduler.name} over ${Blocks.name}`, () => {
      it("keeps its invariants, and every history, under random commands", () => {
        const pair = {
          createBlockManager: (pool: { numBlocks: number; blockSize: number }) => new Blocks(pool),
          createScheduler: (blocks: BlockManager, config: SchedulerConfig) => new Scheduler(blocks, config),
        };
        expect(checkBatching(fc, pair, { numRuns: 100, maxCommands: 150 })).toBeGreaterThan(500);
      });
    });
  }
}

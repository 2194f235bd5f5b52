import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { BlockManager, SchedulerConfig } from "../contracts/index.js";
import { ContiguousBlockManager, PagedBlockManager } from "../kv/index.js";
import { FcfsScheduler, PriorityScheduler, StaticBatchScheduler } from "../scheduler/index.js";
import { checkBatching } from "./block-manager-model-commands.js";

it("keeps every invariant over 100,000 random commands, all schedulers over all block managers", () => {
  let numCommands = 0;
  for (const Scheduler of [FcfsScheduler, PriorityScheduler, StaticBatchScheduler]) {
    for (const Blocks of [PagedBlockManager, ContiguousBlockManager]) {
      const pair = {
        createBlockManager: (pool: { numBlocks: number; blockSize: number }) => new Blocks(pool),
        createScheduler: (blocks: BlockManager, config: SchedulerConfig) => new Scheduler(blocks, config),
      };
      numCommands += checkBatching(fc, pair, { numRuns: 800, maxCommands: 300 });
    }
  }
  expect(numCommands).toBeGreaterThan(100_000);
});

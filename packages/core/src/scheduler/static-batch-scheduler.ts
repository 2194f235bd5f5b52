/**
 * StaticBatchScheduler: one batch at a time, as before continuous batching: the baseline that shows why FcfsScheduler
 * exists. Nothing is padded; what it wastes are the seats of those that finish early.
 */
import type { BlockManager, SchedulerConfig } from "../contracts/index.js";
import { BatchingScheduler } from "./batching-scheduler.js";
import { ARRIVAL_ORDER } from "./sequence-order.js";

/** Gathers a batch (up to maxNumSeqs and the blocks there are), then admits nobody until all of it has finished. */
export class StaticBatchScheduler extends BatchingScheduler {
  /** @throws InvalidOptionsError unless each limit of `config` is an integer >= 1 */
  constructor(blockManager: BlockManager, config: SchedulerConfig) {
    super(blockManager, config, {
      order: ARRIVAL_ORDER,
      admission: "batch",
    });
  }
}

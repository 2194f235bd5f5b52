/**
 * FcfsScheduler: continuous batching, first come, first served (Orca, Yu et al. 2022; chunked prefill as Sarathi-Serve,
 * Agrawal et al. 2024). The default scheduler; the rules are BatchingScheduler's.
 */
import type { BlockManager, SchedulerConfig } from "../contracts/index.js";
import { BatchingScheduler } from "./batching-scheduler.js";
import { ARRIVAL_ORDER } from "./sequence-order.js";

/** Running decodes first, then prefill chunks, then newcomers in order of arrival; preempts who arrived last. */
export class FcfsScheduler extends BatchingScheduler {
  /** @throws InvalidOptionsError unless each limit of `config` is an integer >= 1 */
  constructor(blockManager: BlockManager, config: SchedulerConfig) {
    super(blockManager, config, {
      order: ARRIVAL_ORDER,
      admission: "continuous",
    });
  }
}

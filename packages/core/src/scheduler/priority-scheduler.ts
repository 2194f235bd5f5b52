/**
 * PriorityScheduler: continuous batching by `priority`, smaller first, then by arrival. A waiting sequence takes the
 * place of a running one of larger priority when it lacks a seat or blocks; the rules are BatchingScheduler's otherwise.
 */
import type { BlockManager, SchedulerConfig } from "../contracts/index.js";
import { BatchingScheduler } from "./batching-scheduler.js";
import { PRIORITY_ORDER } from "./sequence-order.js";

/**
 * As FcfsScheduler in order of (priority, arrival); preempts the largest priority, last arrival. A steady stream of small
 * priorities can keep large ones waiting: nothing ages.
 */
export class PriorityScheduler extends BatchingScheduler {
  /** @throws InvalidOptionsError unless each limit of `config` is an integer >= 1 */
  constructor(blockManager: BlockManager, config: SchedulerConfig) {
    super(blockManager, config, {
      order: PRIORITY_ORDER,
      admission: "continuous",
    });
  }
}

/** Watches an engine's schedule for the step in which most KV blocks are held, and what they are held for. */
import { type EngineServices, FcfsScheduler, type Scheduler } from "@weir/core";

export interface KvPeak {
  readonly usedBlocks: number;
  /** Tokens in the cache once the step is done. */
  readonly liveTokens: number;
  readonly sequences: number;
}

export class KvWatch {
  peak: KvPeak = { usedBlocks: 0, liveTokens: 0, sequences: 0 };

  /** For `createEngine({ scheduler: watch.scheduler })`. */
  readonly scheduler = ({ blockManager, schedulerConfig }: EngineServices): Scheduler => {
    const scheduler = new FcfsScheduler(blockManager, schedulerConfig);
    const schedule = scheduler.schedule.bind(scheduler);
    scheduler.schedule = () => {
      const scheduled = schedule();
      const { numBlocks, numFreeBlocks } = blockManager.stats();
      if (numBlocks - numFreeBlocks > this.peak.usedBlocks) {
        const holders = [...scheduler.sequences()].filter((sequence) => sequence.numBlocks > 0);
        const computed = holders.reduce((sum, { numComputedTokens }) => sum + numComputedTokens, 0);
        this.peak = { usedBlocks: numBlocks - numFreeBlocks, liveTokens: computed + scheduled.numBatchedTokens, sequences: holders.length };
      }
      return scheduled;
    };
    return scheduler;
  };
}

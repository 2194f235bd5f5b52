/**
 * RemoteStats: one engine's counters over the lives of its children. In: what a child last told. Out: a snapshot that
 * never goes back. As old as the latest message that carried numbers: a request's end, or a beat.
 */
import type { EngineHealth, EngineStatsSnapshot } from "../../contracts/index.js";
import type { RequestCounts } from "./request-mirror.js";

type Counters = Pick<EngineStatsSnapshot, "steps" | "computedTokens" | "sampledTokens" | "nonfiniteRows" | "restarts" | "milliseconds">;

const NOTHING: Counters = {
  steps: 0,
  computedTokens: 0,
  sampledTokens: 0,
  nonfiniteRows: 0,
  restarts: 0,
  milliseconds: { schedule: 0, execute: 0, process: 0, userCode: 0, runner: { dense: 0, attention: 0, sampling: 0, total: 0 } },
};

export class RemoteStats {
  /** Of the children that are gone. */
  #before: Counters = NOTHING;
  #latest: EngineStatsSnapshot | undefined;

  /** A child told its numbers. */
  update(stats: EngineStatsSnapshot): void {
    this.#latest = stats;
  }

  /** The child is gone, and nothing of it is held any more. */
  onLost(): void {
    const latest = this.#latest;
    if (!latest) return;
    const { steps, restarts, milliseconds, computedTokens, sampledTokens, nonfiniteRows } = sum(this.#before, latest);
    this.#before = { steps, restarts: restarts + 1, milliseconds, computedTokens, sampledTokens, nonfiniteRows };
    const { scheduler, blocks, memory } = latest;
    this.#latest = {
      ...latest,
      ...NOTHING,
      scheduler: { ...scheduler, numRunning: 0, numWaiting: 0, numPreemptions: 0 },
      blocks: { ...blocks, numFreeBlocks: blocks.numBlocks, numSharedBlocks: 0 },
      memory: { ...memory, kvCommittedBytes: 0 },
    };
  }

  snapshot(health: EngineHealth, requests: RequestCounts): EngineStatsSnapshot {
    const latest = this.#latest!;
    return { ...latest, ...sum(this.#before, latest), health, requests: { ...requests } };
  }
}

function sum(a: Counters, b: Counters): Counters {
  const x = a.milliseconds;
  const y = b.milliseconds;
  return {
    steps: a.steps + b.steps,
    computedTokens: a.computedTokens + b.computedTokens,
    sampledTokens: a.sampledTokens + b.sampledTokens,
    nonfiniteRows: a.nonfiniteRows + b.nonfiniteRows,
    restarts: a.restarts + b.restarts,
    milliseconds: {
      schedule: x.schedule + y.schedule,
      execute: x.execute + y.execute,
      process: x.process + y.process,
      userCode: x.userCode + y.userCode,
      runner: {
        dense: x.runner.dense + y.runner.dense,
        attention: x.runner.attention + y.runner.attention,
        sampling: x.runner.sampling + y.runner.sampling,
        total: x.runner.total + y.runner.total,
      },
    },
  };
}

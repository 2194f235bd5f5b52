/** EngineStats: counters since the engine was made, kept by the step's parts and read by `engine.stats()`. */
import type {
  BlockManagerStats,
  EngineHealth,
  EngineStatsSnapshot,
  RunnerMemory,
  SchedulerStats,
  StepTimings,
} from "../contracts/index.js";

export type { EngineStatsSnapshot };

export class EngineStats {
  requestsRefused = 0;
  requestsStarted = 0;
  requestsFinished = 0;
  requestsAborted = 0;
  requestsFailed = 0;
  steps = 0;
  computedTokens = 0;
  sampledTokens = 0;
  nonfiniteRows = 0;
  restarts = 0;
  health: EngineHealth = "ok";
  scheduleMs = 0;
  executeMs = 0;
  processMs = 0;
  userCodeMs = 0;
  readonly runner: StepTimings = { dense: 0, attention: 0, sampling: 0, total: 0 };

  addRunner(timings: StepTimings): void {
    this.runner.dense += timings.dense;
    this.runner.attention += timings.attention;
    this.runner.sampling += timings.sampling;
    this.runner.total += timings.total;
  }

  snapshot(live: number, scheduler: SchedulerStats, blocks: BlockManagerStats, memory: RunnerMemory): EngineStatsSnapshot {
    return {
      health: this.health,
      requests: {
        refused: this.requestsRefused,
        started: this.requestsStarted,
        finished: this.requestsFinished,
        aborted: this.requestsAborted,
        failed: this.requestsFailed,
        live,
      },
      steps: this.steps,
      computedTokens: this.computedTokens,
      sampledTokens: this.sampledTokens,
      nonfiniteRows: this.nonfiniteRows,
      restarts: this.restarts,
      milliseconds: {
        schedule: this.scheduleMs,
        execute: this.executeMs,
        process: this.processMs,
        userCode: this.userCodeMs,
        runner: { ...this.runner },
      },
      scheduler,
      blocks,
      memory,
    };
  }
}

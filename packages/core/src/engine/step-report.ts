/**
 * StepReport: what the outside hears of a step: events for requests admitted and preempted, times, counters and the
 * `step-end` event. It changes nothing that a later step depends on.
 */
import type { ModelInput, ModelOutput, SchedulerOutput } from "../contracts/index.js";
import type { EngineParts } from "./engine-parts.js";
import type { EngineStats } from "./engine-stats.js";
import type { LiveRequests } from "./live-requests.js";

export class StepReport {
  readonly #parts: EngineParts;
  readonly #live: LiveRequests;
  readonly #stats: EngineStats;
  #beganAt = 0;
  #executingAt = 0;
  #executedAt = 0;

  constructor(parts: EngineParts, live: LiveRequests, stats: EngineStats) {
    this.#parts = parts;
    this.#live = live;
    this.#stats = stats;
  }

  begin(): void {
    this.#beganAt = this.#parts.platform.now();
  }

  scheduled(scheduled: SchedulerOutput): SchedulerOutput {
    const { hub } = this.#parts;
    for (const { seqId, requestId } of scheduled.preempted) {
      const event = { type: "request-preempted", requestId } as const;
      hub.emit(event);
      this.#live.ofSequence(seqId)?.sink.next(event);
    }
    for (const { seqId, requestId } of scheduled.admitted) {
      const first = this.#live.ofSequence(seqId)?.markScheduled(this.#beganAt);
      if (first) hub.emit({ type: "request-scheduled", requestId });
    }
    return scheduled;
  }

  executing(input: ModelInput): ModelInput {
    this.#executingAt = this.#parts.platform.now();
    return input;
  }

  executed(output: ModelOutput): ModelOutput {
    this.#executedAt = this.#parts.platform.now();
    return output;
  }

  end(scheduled: SchedulerOutput, output: ModelOutput): void {
    const { scheduler, blockManager, hub, platform } = this.#parts;
    const stats = this.#stats;
    const schedule = this.#executingAt - this.#beganAt;
    const execute = this.#executedAt - this.#executingAt;
    const process = platform.now() - this.#executedAt;
    stats.steps++;
    stats.computedTokens += scheduled.numBatchedTokens;
    stats.scheduleMs += schedule;
    stats.executeMs += execute;
    stats.processMs += process;
    stats.addRunner(output.timings);
    const { numRunning, numWaiting } = scheduler.stats();
    hub.emit({
      type: "step-end",
      stats: {
        step: stats.steps,
        numRunning,
        numWaiting,
        numBatchedTokens: scheduled.numBatchedTokens,
        numRows: output.numRows,
        numFreeBlocks: blockManager.stats().numFreeBlocks,
        schedule,
        execute,
        process,
        runner: { ...output.timings },
      },
    });
  }
}

/**
 * OutputProcessor: the tokens of a step into their requests: append, stop checks, text, events. Says per sequence
 * whether it ended, for the scheduler's update. A row that failed fails its request alone.
 */
import {
  MAX_LOGPROBS,
  ROW_OK,
  ROW_SAMPLE,
  type FinishReason,
  type ModelInput,
  type ModelOutput,
  type SampledRows,
  type SchedulerOutput,
  type TokenEvent,
  type TokenLogprob,
} from "../contracts/index.js";
import { NonFiniteLogitsError } from "../errors/index.js";
import type { EngineStats } from "./engine-stats.js";
import type { LiveRequests } from "./live-requests.js";
import type { EngineRequest } from "./request.js";
import { NO_ROW, type StepBatch } from "./step-batch.js";

export interface OutputProcessorOptions {
  readonly live: LiveRequests;
  readonly stats: EngineStats;
  readonly now: () => number;
  /** Rows sampled on the caller's thread. */
  readonly sampledHere: SampledRows;
}

type Finished = FinishReason | undefined;

export class OutputProcessor {
  readonly #options: OutputProcessorOptions;
  /** One entry per sequence of the step; reused. */
  readonly #finished: Finished[] = [];

  constructor(options: OutputProcessorOptions) {
    this.#options = options;
  }

  /** @returns per sequence of the step why it ended, or undefined; valid until the next call */
  process(scheduled: SchedulerOutput, batch: StepBatch, input: ModelInput, output: ModelOutput): readonly Finished[] {
    const finished = this.#finished;
    finished.length = 0;
    for (let i = 0; i < batch.requests.length; i++) {
      const request = batch.requests[i]!;
      if (!request.ended) this.#reportPrefill(request, scheduled.numScheduledTokens[i]!);
      const row = batch.rows[i]!;
      const rows = row !== NO_ROW && input.rowWants[row]! & ROW_SAMPLE ? output : this.#options.sampledHere;
      // Ended meanwhile: by its consumer, a deadline, or a processor that threw.
      if (request.ended) finished.push("aborted");
      else finished.push(row === NO_ROW ? undefined : this.#accept(request, rows, row));
    }
    return finished;
  }

  /** Only news: a preempted request computes its prompt again in silence. */
  #reportPrefill(request: EngineRequest, numNew: number): void {
    const { numComputedTokens, numPromptTokens: promptTokens } = request.sequence;
    const computedTokens = Math.min(numComputedTokens + numNew, promptTokens);
    if (computedTokens <= request.reportedPrefill) return;
    request.reportedPrefill = computedTokens;
    request.sink.next({ type: "prefill-progress", requestId: request.requestId, computedTokens, promptTokens });
  }

  #accept(request: EngineRequest, rows: SampledRows, row: number): Finished {
    const { live, stats, now } = this.#options;
    if (rows.status[row] !== ROW_OK) {
      stats.nonfiniteRows++;
      live.fail(request, nonFinite(request));
      return "aborted";
    }
    const id = rows.tokenIds[row]!;
    request.sequence.append(id);
    request.markToken(now());
    stats.sampledTokens++;
    const stop = stopReason(request, id);
    // The token that stops is part of the output, its text is not, unless asked for.
    const hidden = stop === "stop" && !request.params.includeStopString;
    const text = hidden ? "" : request.text.push(id, request.numOutputTokens > request.params.minTokens);
    const reason: Finished = request.text.stopped ? "stop-string" : stop;
    request.sink.next(tokenEvent(request, id, text, rows, row));
    // The consumer may have left while it looked at the token.
    if (request.ended) return "aborted";
    if (reason) live.finish(request, reason, request.text.flush());
    return reason;
  }
}

function stopReason(request: EngineRequest, id: number): Finished {
  const { params, sequence, stopIds } = request;
  if (request.numOutputTokens > params.minTokens && stopIds.includes(id)) return "stop";
  return sequence.numTokens >= sequence.maxTokens ? "length" : undefined;
}

function tokenEvent(request: EngineRequest, id: number, text: string, rows: SampledRows, row: number): TokenEvent {
  const { requestId, params, numOutputTokens, firstLogits } = request;
  const index = numOutputTokens - 1;
  if (params.numLogprobs < 0 && !firstLogits) return { type: "token", requestId, id, text, index };
  request.firstLogits = undefined;
  return {
    type: "token",
    requestId,
    id,
    text,
    index,
    ...(params.numLogprobs >= 0 ? { logprob: rows.logprobs[row]! } : {}),
    ...(params.numLogprobs > 0 ? { top: topLogprobs(rows, row, params.numLogprobs) } : {}),
    ...(firstLogits ? { logits: firstLogits } : {}),
  };
}

function topLogprobs(rows: SampledRows, row: number, count: number): TokenLogprob[] {
  const start = row * MAX_LOGPROBS;
  return Array.from({ length: count }, (_, i) => ({ id: rows.topIds[start + i]!, logprob: rows.topLogprobs[start + i]! }));
}

function nonFinite(request: EngineRequest): NonFiniteLogitsError {
  return new NonFiniteLogitsError(
    `request ${request.requestId}: the logits of position ${request.sequence.numTokens} held NaN, or no token was left to choose; ` +
      "check the weights, the logit bias and the logits processors",
  );
}

/**
 * EngineRequest: everything the engine keeps for one running request: its sequence, checked parameters, text
 * state, where events go, and when things happened. Made when a stream is consumed; read by the step's parts.
 */
import type { ModelSpec, RequestTimings, Tokenizer, Usage } from "../contracts/index.js";
import type { RequestSink } from "../stream/request-sink.js";
import type { Deadlined } from "./deadlines.js";
import type { SamplingParams } from "./sampling-params.js";
import type { EngineSequence } from "./sequence.js";
import { TextOutput } from "./text-output.js";

export interface RequestParts {
  readonly sequence: EngineSequence;
  readonly params: SamplingParams;
  readonly sink: RequestSink;
  readonly spec: ModelSpec;
  readonly tokenizer: Tokenizer | undefined;
  readonly parent?: EngineRequest;
}

export class EngineRequest implements Deadlined {
  readonly sequence: EngineSequence;
  readonly params: SamplingParams;
  readonly sink: RequestSink;
  readonly text: TextOutput;
  /** Forked from it: shares its blocks when it joins the scheduler. */
  readonly parent: EngineRequest | undefined;
  /** The model's end tokens, unless ignored, and the request's own. */
  readonly stopIds: readonly number[];
  /** Milliseconds of the engine's clock; Infinity = none. */
  readonly deadline: number;
  /** Its one terminal event is out; whatever a step still brings for it is dropped. */
  ended = false;
  /** Prompt tokens that its consumer knows to be computed. */
  reportedPrefill = 0;
  /** Raw logits of the first generated position, until its token event. */
  firstLogits: Float32Array | undefined;
  /** How often the runner was lost while this ran, since its last token. */
  restartsSinceToken = 0;
  #cachedTokens = 0;
  #scheduledAt = NaN;
  #firstTokenAt = NaN;
  #detach: (() => void)[] = [];

  constructor(parts: RequestParts) {
    const { sequence, params, spec, tokenizer } = parts;
    this.sequence = sequence;
    this.params = params;
    this.sink = parts.sink;
    this.parent = parts.parent;
    this.stopIds = [...new Set([...(params.ignoreEos ? [] : spec.eosTokenIds), ...params.stopTokenIds])];
    this.deadline = params.deadlineMs === undefined ? Infinity : sequence.arrivalTime + params.deadlineMs;
    const detokenizer = tokenizer?.createDetokenizer({
      skipSpecialTokens: params.skipSpecialTokens,
      context: sequence.tokenIds.subarray(0, sequence.numTokens),
    });
    this.text = new TextOutput(detokenizer, params.stop, params.includeStopString);
  }

  get requestId(): string {
    return this.sequence.requestId;
  }

  get numOutputTokens(): number {
    return this.sequence.numTokens - this.sequence.numPromptTokens;
  }

  /** Its rows are sampled on the caller's thread whatever the backend can do. */
  get hasProcessors(): boolean {
    return this.params.logitsProcessors.length > 0;
  }

  /**
   * Takes over output that an earlier life of the engine made and delivered: ids, text state, prefill. What text is
   * held back is what was held back there; nothing is emitted.
   */
  resume(outputTokenIds: ArrayLike<number>): void {
    if (outputTokenIds.length === 0) return;
    for (let i = 0; i < outputTokenIds.length; i++) {
      this.sequence.append(outputTokenIds[i]!);
      this.text.push(outputTokenIds[i]!, this.numOutputTokens > this.params.minTokens);
    }
    this.reportedPrefill = this.sequence.numPromptTokens;
  }

  /** Calls `onAbort` when the signal fires, until the request ends. */
  follow(signal: AbortSignal | undefined, onAbort: () => void): void {
    if (!signal) return;
    signal.addEventListener("abort", onAbort, { once: true });
    this.#detach.push(() => signal.removeEventListener("abort", onAbort));
  }

  /** Marks the end and lets go of signals. @returns false when it had ended before */
  end(): boolean {
    if (this.ended) return false;
    this.ended = true;
    for (const detach of this.#detach.splice(0)) detach();
    return true;
  }

  /** @returns true the first time; a preempted request is scheduled again. */
  markScheduled(now: number): boolean {
    if (!Number.isNaN(this.#scheduledAt)) return false;
    this.#scheduledAt = now;
    this.#cachedTokens = Math.min(this.sequence.numComputedTokens, this.sequence.numPromptTokens);
    return true;
  }

  markToken(now: number): void {
    this.restartsSinceToken = 0;
    if (Number.isNaN(this.#firstTokenAt)) this.#firstTokenAt = now;
  }

  usage(): Usage {
    const promptTokens = this.sequence.numPromptTokens;
    const completionTokens = this.numOutputTokens;
    return { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens, cachedTokens: this.#cachedTokens };
  }

  /** A phase that was never reached counts 0. */
  timings(now: number): RequestTimings {
    const arrival = this.sequence.arrivalTime;
    const scheduled = orElse(this.#scheduledAt, now);
    const firstToken = orElse(this.#firstTokenAt, now);
    return {
      queued: scheduled - arrival,
      prefill: firstToken - scheduled,
      decode: now - firstToken,
      timeToFirstToken: firstToken - arrival,
      total: now - arrival,
    };
  }
}

function orElse(time: number, now: number): number {
  return Number.isNaN(time) ? now : time;
}

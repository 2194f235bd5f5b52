/**
 * MirroredRequest: the host's half of one request: what it takes to go on in another process (prompt, options, output so
 * far), where its events go, and when things happened on the host's clock. Kept by RequestMirror.
 */
import type { RequestTimings, Usage } from "../../contracts/index.js";
import type { Deadlined } from "../../engine/deadlines.js";
import type { RequestSink } from "../../stream/request-sink.js";
import type { WireOptions, WirePrompt, WireRequest } from "./messages.js";

export interface MirroredRequestParts {
  /** Its number on the wire. */
  readonly id: number;
  readonly requestId: string;
  readonly sink: RequestSink;
  readonly prompt: WirePrompt;
  readonly options: WireOptions;
  /** Number of the request it was forked from. */
  readonly parent: number | null;
  readonly arrivalTime: number;
  /** Milliseconds from then; undefined: none. */
  readonly deadlineMs: number | undefined;
}

export class MirroredRequest implements Deadlined {
  readonly id: number;
  readonly requestId: string;
  readonly sink: RequestSink;
  readonly deadlineMs: number | undefined;
  /** On the clock of its arrival; Infinity = none. */
  readonly deadline: number;
  /** The child's engine has it. */
  sent = false;
  /** It is, or was, in a step of the child that has it now. */
  scheduled = false;
  paused = false;
  ended = false;
  /** Children lost while it ran, since its last token. */
  restartsSinceToken = 0;
  /** Prompt tokens that its consumer knows to be computed. */
  reportedPrefill = 0;
  /** Once it was queued. */
  promptTokenIds: readonly number[] | undefined;
  readonly outputTokenIds: number[] = [];
  readonly #parts: MirroredRequestParts;
  /** Most new tokens, as the first child that had it understood that. */
  #maxTokens: number | null;
  #scheduledAt = NaN;
  #firstTokenAt = NaN;
  #detach: (() => void)[] = [];

  constructor(parts: MirroredRequestParts) {
    this.#parts = parts;
    this.#maxTokens = parts.options.maxTokens;
    this.id = parts.id;
    this.requestId = parts.requestId;
    this.sink = parts.sink;
    this.deadlineMs = parts.deadlineMs;
    this.deadline = parts.arrivalTime + (parts.deadlineMs ?? Infinity);
  }

  get numPromptTokens(): number {
    return this.promptTokenIds?.length ?? 0;
  }

  /** As it must be submitted now: from the start, or behind its output. */
  toWire(): WireRequest {
    const { requestId, prompt, options, parent } = this.#parts;
    return {
      requestId,
      // The ids that the first child read: a template may say the date.
      prompt: this.promptTokenIds ? { ids: this.promptTokenIds } : prompt,
      options: { ...options, maxTokens: this.#maxTokens },
      output: this.outputTokenIds,
      // Its own output is not its parent's.
      parent: this.outputTokenIds.length === 0 ? parent : null,
      paused: this.paused,
    };
  }

  /** The child that had it is gone. */
  lose(): void {
    this.sent = false;
    this.scheduled = false;
  }

  /** @param promptIds null where the prompt was given as ids */
  markQueued(promptIds: readonly number[] | null, maxModelLen: number): void {
    const { prompt } = this.#parts;
    this.promptTokenIds = promptIds ?? ("ids" in prompt ? prompt.ids : []);
    this.#maxTokens ??= maxModelLen - this.promptTokenIds.length;
  }

  /** @returns true the first time in its life */
  markScheduled(now: number): boolean {
    this.scheduled = true;
    if (!Number.isNaN(this.#scheduledAt)) return false;
    this.#scheduledAt = now;
    return true;
  }

  markToken(id: number, now: number): void {
    this.outputTokenIds.push(id);
    this.restartsSinceToken = 0;
    if (Number.isNaN(this.#firstTokenAt)) this.#firstTokenAt = now;
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

  usage(cachedTokens: number): Usage {
    const promptTokens = this.numPromptTokens;
    const completionTokens = this.outputTokenIds.length;
    return { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens, cachedTokens };
  }

  /** As this process saw it, restarts included. A phase that was never reached counts 0. */
  timings(now: number): RequestTimings {
    const { arrivalTime } = this.#parts;
    const firstToken = Number.isNaN(this.#firstTokenAt) ? now : this.#firstTokenAt;
    const scheduled = Number.isNaN(this.#scheduledAt) ? firstToken : this.#scheduledAt;
    return {
      queued: scheduled - arrivalTime,
      prefill: firstToken - scheduled,
      decode: now - firstToken,
      timeToFirstToken: firstToken - arrivalTime,
      total: now - arrivalTime,
    };
  }
}

/**
 * RequestMirror: every request that has not ended, as the host knows it. In: what consumers do, what the child did to them
 * (by EventDispatcher). Out: orders to the child. When the child is lost it says who goes on and who fails.
 */
import type { EngineStatsSnapshot, FinishReason } from "../../contracts/index.js";
import { Deadlines } from "../../engine/deadlines.js";
import { AbortedError, EngineRestartedError, InvalidRequestError, TimeoutError } from "../../errors/index.js";
import type { EventHub } from "../../stream/event-hub.js";
import type { RequestHandle } from "../../stream/request-sink.js";
import type { ToChild } from "./messages.js";
import type { MirroredRequest } from "./mirrored-request.js";

export interface RequestMirrorParts {
  readonly hub: EventHub;
  readonly onRestart: "replay" | "fail";
  readonly maxReplays: number;
  /** To the child that is ready; otherwise lost. */
  readonly send: (message: ToChild) => void;
  readonly isReady: () => boolean;
  /** Called when the first request comes and when the last one has ended. */
  readonly onBusy: (busy: boolean) => void;
}

/** Counted here: children come and go. */
export type RequestCounts = { -readonly [K in keyof EngineStatsSnapshot["requests"]]: number };

export class RequestMirror {
  readonly counts: RequestCounts = { refused: 0, started: 0, finished: 0, aborted: 0, failed: 0, live: 0 };
  readonly #parts: RequestMirrorParts;
  /** In order of arrival. */
  readonly #byNumber = new Map<number, MirroredRequest>();
  readonly #byId = new Map<string, MirroredRequest>();
  readonly #deadlines: Deadlines<MirroredRequest>;
  /** On its last chance a request runs alone until its next token: whoever it is that kills children takes no other along. */
  #onTrial: MirroredRequest | undefined;
  #idle: (() => void)[] = [];

  constructor(parts: RequestMirrorParts) {
    this.#parts = parts;
    this.#deadlines = new Deadlines(now, (request) => this.#expire(request));
  }

  get size(): number {
    return this.#byNumber.size;
  }

  get(requestId: string): MirroredRequest | undefined {
    return this.#byId.get(requestId);
  }

  /** Resolves when no request is left. */
  idle(): Promise<void> {
    return this.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve));
  }

  /** @throws InvalidRequestError when a running request has the same id */
  add(request: MirroredRequest): RequestHandle {
    const { requestId } = request;
    if (this.#byId.has(requestId)) {
      throw new InvalidRequestError(`requestId ${JSON.stringify(requestId)} belongs to a running request; choose another or leave it out`);
    }
    this.#byNumber.set(request.id, request);
    this.#byId.set(requestId, request);
    this.#deadlines.add(request);
    if (this.size === 1) this.#parts.onBusy(true);
    this.#submitWaiting();
    return { requestId, cancel: () => void this.#drop(request), setPaused: (paused) => this.#setPaused(request, paused) };
  }

  /** By signal or `engine.abort()`: its consumer gets an AbortedError. */
  abort(request: MirroredRequest, cause?: unknown): void {
    if (!this.#drop(request)) return;
    request.sink.error(new AbortedError(`request ${request.requestId} was aborted`, { cause }), request.requestId);
  }

  failAll(error: Error): void {
    // A snapshot: a consumer may answer its error with a new request.
    for (const request of [...this.#byNumber.values()]) this.fail(request, error);
  }

  /**
   * The child is gone. Of the requests it had, those that may go on wait for the next one; the others fail.
   * @param planned it drained: nobody is to blame
   */
  onLost(reason: string, planned: boolean): void {
    const { onRestart, maxReplays } = this.#parts;
    this.#onTrial = undefined;
    for (const request of [...this.#byNumber.values()]) {
      if (!request.sent) continue;
      const wasRunning = request.scheduled && !planned;
      request.lose();
      if (onRestart === "fail") this.fail(request, lost(request, reason, "onRestart is fail"));
      else if (wasRunning && ++request.restartsSinceToken > maxReplays) {
        this.fail(request, lost(request, reason, `more than maxReplays = ${maxReplays} times since its last token`));
      }
    }
  }

  /** Another child is there. @returns how many requests go on in it */
  replay(): number {
    const numWaiting = this.size;
    this.#submitWaiting();
    return numWaiting;
  }

  byNumber(id: number): MirroredRequest | undefined {
    return this.#byNumber.get(id);
  }

  /** It got on: who waited for that may run beside it. */
  endTrial(request: MirroredRequest): void {
    if (this.#onTrial !== request) return;
    this.#onTrial = undefined;
    this.#submitWaiting();
  }

  /** It ended as it should. */
  finish(request: MirroredRequest, finishReason: FinishReason, text: string, cachedTokens: number): void {
    if (!this.#forget(request)) return;
    this.counts.finished++;
    const { requestId } = request;
    const end = {
      type: "request-end",
      requestId,
      finishReason,
      usage: request.usage(cachedTokens),
      timings: request.timings(now()),
    } as const;
    this.#parts.hub.emit(end);
    request.sink.next({ ...end, text });
    request.sink.complete();
  }

  /** It failed, alone. */
  fail(request: MirroredRequest, error: Error): void {
    if (!this.#forget(request)) return;
    if (request.promptTokenIds) this.counts.failed++;
    else this.counts.refused++;
    this.#parts.hub.emit({ type: "request-error", requestId: request.requestId, error });
    request.sink.error(error, request.requestId);
  }

  #expire(request: MirroredRequest): void {
    const { requestId, deadlineMs } = request;
    if (request.sent) this.#parts.send({ type: "cancel", id: request.id });
    this.fail(
      request,
      new TimeoutError(`request ${requestId} passed its deadline of ${deadlineMs} ms; raise deadlineMs or lower maxTokens`),
    );
  }

  /** Its consumer wants no more of it. */
  #drop(request: MirroredRequest): boolean {
    if (!this.#forget(request)) return false;
    if (request.sent) this.#parts.send({ type: "cancel", id: request.id });
    this.counts.aborted++;
    const { requestId } = request;
    this.#parts.hub.emit({
      type: "request-end",
      requestId,
      finishReason: "aborted",
      usage: request.usage(0),
      timings: request.timings(now()),
    });
    return true;
  }

  #setPaused(request: MirroredRequest, paused: boolean): void {
    if (request.ended || request.paused === paused) return;
    request.paused = paused;
    // It may never be resumed, and the others wait.
    if (paused) this.endTrial(request);
    if (request.sent) this.#parts.send({ type: "pause", id: request.id, paused });
  }

  /** All that the child does not have; of those on their last chance, one. */
  #submitWaiting(): void {
    if (this.#onTrial || !this.#parts.isReady()) return;
    const waiting = [...this.#byNumber.values()].filter(({ sent }) => !sent);
    this.#onTrial = waiting.find((request) => this.#isOnLastChance(request));
    for (const request of this.#onTrial ? [this.#onTrial] : waiting) {
      request.sent = true;
      this.#parts.send({ type: "generate", id: request.id, request: request.toWire() });
    }
  }

  #isOnLastChance({ restartsSinceToken, paused }: MirroredRequest): boolean {
    return restartsSinceToken > 0 && restartsSinceToken >= this.#parts.maxReplays && !paused;
  }

  #forget(request: MirroredRequest): boolean {
    if (!request.end()) return false;
    this.#byNumber.delete(request.id);
    this.#byId.delete(request.requestId);
    this.#deadlines.delete(request);
    this.endTrial(request);
    if (this.size === 0) {
      this.#parts.onBusy(false);
      for (const resolve of this.#idle.splice(0)) resolve();
    }
    return true;
  }
}

function now(): number {
  return performance.now();
}

function lost(request: MirroredRequest, reason: string, why: string): EngineRestartedError {
  return new EngineRestartedError(
    `request ${request.requestId}: the engine's process was lost (${reason}), and it is not replayed: ${why}`,
  );
}

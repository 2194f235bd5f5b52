/**
 * LiveRequests: the requests between their arrival and their one terminal event, and their way into and out of the
 * scheduler. The scheduler is touched between steps only: what arrives or leaves during a step waits for its end,
 * so that no block is given away while a runner may still write to it.
 */
import type { BlockManager, EngineEvent, FinishReason, Scheduler } from "../contracts/index.js";
import { AbortedError, InvalidRequestError, TimeoutError } from "../errors/index.js";
import type { EventHub } from "../stream/event-hub.js";
import { asError } from "./as-error.js";
import { Deadlines } from "./deadlines.js";
import type { EngineStats } from "./engine-stats.js";
import type { EngineRequest } from "./request.js";

export interface LiveRequestsParts {
  readonly scheduler: Scheduler;
  readonly blockManager: BlockManager;
  readonly hub: EventHub;
  readonly stats: EngineStats;
  readonly now: () => number;
  /** The loop may have something to do. */
  readonly wake: () => void;
}

type RequestEnd = Extract<EngineEvent, { readonly type: "request-end" }>;

export class LiveRequests {
  /** Whole-block copies that forks asked for: [src, dst, ...]; made and cleared by the next step. */
  readonly copies: number[] = [];
  readonly #parts: LiveRequestsParts;
  readonly #byId = new Map<string, EngineRequest>();
  readonly #bySeqId = new Map<number, EngineRequest>();
  readonly #arrivals: EngineRequest[] = [];
  readonly #leavers: EngineRequest[] = [];
  readonly #deadlines: Deadlines<EngineRequest>;
  #inStep = false;

  constructor(parts: LiveRequestsParts) {
    this.#parts = parts;
    this.#deadlines = new Deadlines(parts.now, (request) => this.#expire(request));
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Every request that could run waits for its consumer. */
  get allPaused(): boolean {
    for (const request of this.#byId.values()) if (!request.sequence.paused) return false;
    return true;
  }

  hasWork(): boolean {
    return this.#byId.size > 0 || this.#leavers.length > 0;
  }

  get(requestId: string): EngineRequest | undefined {
    return this.#byId.get(requestId);
  }

  ofSequence(seqId: number): EngineRequest | undefined {
    return this.#bySeqId.get(seqId);
  }

  /** @throws InvalidRequestError when a running request has the same id */
  add(request: EngineRequest): void {
    const { requestId, sequence } = request;
    if (this.#byId.has(requestId)) {
      throw new InvalidRequestError(`requestId ${JSON.stringify(requestId)} belongs to a running request; choose another or leave it out`);
    }
    this.#byId.set(requestId, request);
    this.#bySeqId.set(sequence.seqId, request);
    this.#arrivals.push(request);
    this.#deadlines.add(request);
    this.#parts.stats.requestsStarted++;
    const event = { type: "request-queued", requestId, promptTokens: sequence.numPromptTokens } as const;
    this.#parts.hub.emit(event);
    request.sink.next(event);
    this.#parts.wake();
  }

  /** From here to `closeStep` the scheduler is left alone. */
  openStep(): void {
    this.#deadlines.expire();
    this.settle();
    this.#inStep = true;
  }

  /** What waited for the end of a step: leavers, then arrivals. */
  settle(): void {
    for (const request of this.#leavers.splice(0)) this.#abortSequence(request);
    for (const request of this.#arrivals.splice(0)) if (!request.ended) this.#join(request);
  }

  closeStep(): void {
    this.#inStep = false;
  }

  /** The copies of forks, then `scheduled`, as pairs [src, dst, ...]; undefined when there are none. */
  takeCopies(scheduled: readonly number[]): Int32Array | undefined {
    if (this.copies.length + scheduled.length === 0) return undefined;
    return Int32Array.from([...this.copies.splice(0), ...scheduled]);
  }

  /** It ended as it should; the scheduler learns it from the step's update. */
  finish(request: EngineRequest, finishReason: FinishReason, text: string): void {
    if (!this.#forget(request)) return;
    const end = this.#endOf(request, finishReason);
    this.#parts.stats.requestsFinished++;
    this.#parts.hub.emit(end);
    request.sink.next({ ...end, text });
    request.sink.complete();
  }

  /** It failed, alone. */
  fail(request: EngineRequest, error: Error): void {
    if (!this.#forget(request)) return;
    this.#release(request);
    this.#parts.stats.requestsFailed++;
    this.#parts.hub.emit({ type: "request-error", requestId: request.requestId, error });
    request.sink.error(error, request.requestId);
  }

  /** By signal or `engine.abort()`: its consumer gets an AbortedError. */
  abort(request: EngineRequest, cause?: unknown): void {
    if (!this.#drop(request)) return;
    request.sink.error(new AbortedError(`request ${request.requestId} was aborted`, { cause }), request.requestId);
  }

  /** Its consumer left: nothing more is emitted to it. */
  cancel(request: EngineRequest): void {
    this.#drop(request);
  }

  /** Those that a step may have held. A snapshot. */
  running(): EngineRequest[] {
    return [...this.#byId.values()].filter(({ sequence }) => sequence.status === "running");
  }

  failAll(error: Error): void {
    // A snapshot: a consumer may answer its error with a new request.
    const requests = [...this.#byId.values()];
    for (const request of requests) this.fail(request, error);
  }

  #join(request: EngineRequest): void {
    const { sequence, parent } = request;
    try {
      // Without room, or a parent that still holds blocks, the child computes its prompt like any other.
      if (parent && !parent.ended && this.#canShare(parent, request)) {
        const shared = this.#parts.blockManager.fork(parent.sequence, sequence, this.copies);
        // One token must be left to run: its logits are what the child samples from.
        if (shared) sequence.numComputedTokens = Math.min(parent.sequence.numComputedTokens, sequence.numTokens - 1);
      }
      this.#parts.scheduler.add(sequence);
    } catch (error) {
      this.fail(request, asError(error));
    }
  }

  /** A parent that went on since it was forked may have filled blocks that are none of the child's. */
  #canShare({ sequence: { numBlocks, numComputedTokens } }: EngineRequest, child: EngineRequest): boolean {
    const { blockSize } = this.#parts.blockManager;
    return numBlocks > 0 && Math.ceil(numComputedTokens / blockSize) <= Math.ceil(child.sequence.numTokens / blockSize);
  }

  #expire(request: EngineRequest): void {
    const { deadlineMs } = request.params;
    this.fail(
      request,
      new TimeoutError(`request ${request.requestId} passed its deadline of ${deadlineMs} ms; raise deadlineMs or lower maxTokens`),
    );
  }

  #drop(request: EngineRequest): boolean {
    if (!this.#forget(request)) return false;
    this.#release(request);
    this.#parts.stats.requestsAborted++;
    this.#parts.hub.emit(this.#endOf(request, "aborted"));
    return true;
  }

  #forget(request: EngineRequest): boolean {
    if (!request.end()) return false;
    this.#byId.delete(request.requestId);
    this.#bySeqId.delete(request.sequence.seqId);
    this.#deadlines.delete(request);
    return true;
  }

  #release(request: EngineRequest): void {
    if (this.#inStep) this.#leavers.push(request);
    else this.#abortSequence(request);
    // Its blocks may be what others wait for.
    this.#parts.wake();
  }

  /** A scheduler of the user's may throw; the others go on. */
  #abortSequence(request: EngineRequest): void {
    try {
      this.#parts.scheduler.abort(request.sequence);
    } catch (error) {
      this.#parts.hub.reportConsumerError(error, request.requestId);
    }
  }

  /** Engine events carry no text: they go to logs and metrics. */
  #endOf(request: EngineRequest, finishReason: FinishReason): RequestEnd {
    const { requestId } = request;
    return { type: "request-end", requestId, finishReason, usage: request.usage(), timings: request.timings(this.#parts.now()) };
  }
}

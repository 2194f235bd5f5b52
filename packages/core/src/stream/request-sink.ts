/**
 * The seam between streams and the engine: a consumption starts a request and hands in a sink.
 * The engine knows nothing of RxJS or iterators; a stream knows nothing of sequences.
 */
import type { TokenEvent } from "../contracts/index.js";

/** Where the engine delivers one request's events. Calls after `error` or `complete` never happen. */
export interface RequestSink {
  next(event: TokenEvent): void;
  error(error: Error, requestId: string): void;
  complete(): void;
}

/** What a consumer may do with its running request. Every call is harmless after the end. */
export interface RequestHandle {
  readonly requestId: string;
  /** Frees the blocks by the next step; nothing is emitted afterwards. */
  cancel(): void;
  /** A paused request keeps its blocks and is not scheduled. */
  setPaused(paused: boolean): void;
}

/** Starts one request. A refused one calls `sink.error` before this returns. */
export type StartRequest = (sink: RequestSink, signal?: AbortSignal) => RequestHandle;

/** Takes what a consumer threw, or a request's error that nobody handled. Must not throw. */
export type ReportConsumerError = (error: unknown, requestId: string) => void;

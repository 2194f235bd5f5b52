/**
 * TokenIterator: one request as an async iterator with a bounded buffer. When the consumer lags more than
 * `bufferLimit` events the request is paused, and resumed once half of them are read; others do not notice.
 */
import type { TokenEvent } from "../contracts/index.js";
import { WeirError } from "../errors/index.js";
import type { RequestHandle, RequestSink, StartRequest } from "./request-sink.js";

interface Waiter {
  readonly resolve: (result: IteratorResult<TokenEvent>) => void;
  readonly reject: (error: unknown) => void;
}

export class TokenIterator implements AsyncIterableIterator<TokenEvent> {
  readonly #start: StartRequest;
  readonly #signal: AbortSignal | undefined;
  readonly #bufferLimit: number;
  readonly #buffer = new EventQueue();
  readonly #waiters: Waiter[] = [];
  #handle: RequestHandle | undefined;
  #paused = false;
  #ended = false;
  #error: Error | undefined;

  constructor(start: StartRequest, bufferLimit: number, signal?: AbortSignal) {
    this.#start = start;
    this.#bufferLimit = bufferLimit;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The first call starts the request. */
  next(): Promise<IteratorResult<TokenEvent>> {
    if (!this.#handle && !this.#ended) this.#begin();
    const event = this.#buffer.shift();
    if (event) {
      this.#resumeWhenDrained();
      return Promise.resolve({ done: false, value: event });
    }
    if (this.#error) {
      const error = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  /** Leaving a `for await` loop: the request is cancelled and its blocks are freed by the next step. */
  return(): Promise<IteratorResult<TokenEvent>> {
    this.#cancel();
    return Promise.resolve({ done: true, value: undefined });
  }

  throw(error?: unknown): Promise<IteratorResult<TokenEvent>> {
    this.#cancel();
    return Promise.reject(error);
  }

  #begin(): void {
    const sink: RequestSink = {
      next: (event) => this.#push(event),
      error: (error) => this.#end(error),
      complete: () => this.#end(),
    };
    this.#handle = this.#start(sink, this.#signal);
  }

  #push(event: TokenEvent): void {
    if (this.#ended) return;
    const waiter = this.#waiters.shift();
    if (waiter) return waiter.resolve({ done: false, value: event });
    this.#buffer.push(event);
    // Only tokens pause: a request that never gets through its prompt would never finish.
    if (event.type === "token" && this.#buffer.length >= this.#bufferLimit && !this.#paused) {
      this.#paused = true;
      this.#handle?.setPaused(true);
    }
  }

  #resumeWhenDrained(): void {
    if (!this.#paused || this.#buffer.length > this.#bufferLimit >> 1) return;
    this.#paused = false;
    this.#handle?.setPaused(false);
  }

  /** The first waiter gets the error, later calls see the end. */
  #end(error?: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    // Who aborts wants no more tokens; other errors come after the tokens that were computed.
    if (WeirError.isInstance(error) && error.code === "aborted") this.#buffer.clear();
    const first = error && this.#waiters.shift();
    if (first) first.reject(error);
    else this.#error = error;
    for (const waiter of this.#waiters.splice(0)) waiter.resolve({ done: true, value: undefined });
  }

  #cancel(): void {
    this.#end();
    this.#error = undefined;
    this.#buffer.clear();
    this.#handle?.cancel();
  }
}

/** First in, first out, without moving elements at each shift. */
class EventQueue {
  #events: (TokenEvent | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#events.length - this.#head;
  }

  /** News of progress or preemption replaces older news that nobody has read yet. */
  push(event: TokenEvent): void {
    const last = this.#events.length - 1;
    if (last >= this.#head && event.type !== "token" && this.#events[last]!.type === event.type) this.#events[last] = event;
    else this.#events.push(event);
  }

  shift(): TokenEvent | undefined {
    if (this.#head === this.#events.length) return undefined;
    const event = this.#events[this.#head];
    this.#events[this.#head++] = undefined;
    if (this.#head === this.#events.length) this.clear();
    else if (this.#head >= 1024) this.#compact();
    return event;
  }

  clear(): void {
    this.#events = [];
    this.#head = 0;
  }

  #compact(): void {
    this.#events = this.#events.slice(this.#head);
    this.#head = 0;
  }
}

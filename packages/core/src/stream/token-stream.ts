/**
 * TokenStream: what `generate()` returns. An Observable of events, an async iterable, and `text()`.
 * Cold: each consumption starts a request of its own. It never throws into the engine: see GuardedObservable.
 */
import type { TokenEvent, Usage } from "../contracts/index.js";
import { GuardedObservable, type Guard } from "./guarded-observable.js";
import type { ReportConsumerError, StartRequest } from "./request-sink.js";
import { TokenIterator } from "./token-iterator.js";

/** Events an async consumer may lag behind before its request pauses. */
export const DEFAULT_BUFFER_LIMIT = 256;

/** For ending one consumption of a stream. */
export interface ConsumeOptions {
  readonly signal?: AbortSignal;
}

/**
 * A request that has not started yet.
 *
 * As an Observable it delivers synchronously, without a buffer; unsubscribing cancels. As an async iterable it
 * buffers up to `bufferLimit` events (default 256), then pauses its request until the consumer has read half;
 * leaving the loop cancels. Cancelling frees the request's blocks by the next step.
 *
 * @example
 * for await (const event of engine.generate("To be")) if (event.type === "token") process.stdout.write(event.text);
 * const text = await engine.generate("To be", { maxTokens: 20 }).text();
 */
export class TokenStream extends GuardedObservable<TokenEvent> implements AsyncIterable<TokenEvent> {
  readonly #start: StartRequest;
  readonly #bufferLimit: number;

  constructor(start: StartRequest, report: ReportConsumerError, bufferLimit: number = DEFAULT_BUFFER_LIMIT) {
    const guard: Guard = { report, requestId: "" };
    super(guard, (subscriber) => {
      const handle = start({
        next: (event) => {
          guard.requestId = event.requestId;
          subscriber.next(event);
        },
        error: (error, requestId) => {
          guard.requestId = requestId;
          subscriber.error(error);
        },
        complete: () => subscriber.complete(),
      });
      return () => handle.cancel();
    });
    this.#start = start;
    this.#bufferLimit = bufferLimit;
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<TokenEvent> {
    return this.events();
  }

  /** The events of one request. `signal` ends it with an AbortedError. */
  events(options: ConsumeOptions = {}): AsyncIterableIterator<TokenEvent> {
    return new TokenIterator(this.#start, this.#bufferLimit, options.signal);
  }

  /**
   * The whole text of one request.
   * @throws what the request fails with
   */
  async text(options: ConsumeOptions = {}): Promise<string> {
    let text = "";
    await this.#consume(options, (event) => {
      if (event.type === "token" || event.type === "request-end") text += event.text;
    });
    return text;
  }

  /** Token counts of one request, at its end. Runs the request: use `toUsage()` beside other consumers. */
  async usage(options: ConsumeOptions = {}): Promise<Usage> {
    let usage: Usage | undefined;
    await this.#consume(options, (event) => {
      if (event.type === "request-end") usage = event.usage;
    });
    return usage!;
  }

  #consume(options: ConsumeOptions, onEvent: (event: TokenEvent) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#start({ next: onEvent, error: reject, complete: resolve }, options.signal);
    });
  }
}

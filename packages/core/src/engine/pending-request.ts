/**
 * PendingRequest: a request whose prompt is still being read on another thread. It stands in for the request until
 * the ids are there; cancel, abort and the signals work meanwhile. Made by RequestIntake, which keeps the list.
 */
import { AbortedError } from "../errors/index.js";
import type { RequestHandle } from "../stream/request-sink.js";
import { asError } from "./as-error.js";
import type { PromptRead } from "./request-intake.js";

export interface PendingRequestParts {
  readonly requestId: string;
  readonly reading: Promise<PromptRead>;
  readonly signals: readonly (AbortSignal | undefined)[];
  /** The prompt is there: make the request. */
  readonly accept: (read: PromptRead) => RequestHandle;
  /** The request ends here, with its one error. */
  readonly refuse: (error: Error) => void;
  /** Called once, when it is pending no more. */
  readonly onSettled: () => void;
}

export class PendingRequest implements RequestHandle {
  readonly requestId: string;
  /** Resolves when it is pending no more; never rejects. */
  readonly settled: Promise<void>;
  readonly #parts: PendingRequestParts;
  readonly #listeners: (() => void)[] = [];
  #resolve!: () => void;
  #accepted: RequestHandle | undefined;
  #paused = false;
  #ended = false;

  constructor(parts: PendingRequestParts) {
    this.requestId = parts.requestId;
    this.#parts = parts;
    this.settled = new Promise((resolve) => (this.#resolve = resolve));
    for (const signal of parts.signals) this.#follow(signal);
    parts.reading.then(
      (read) => this.#onRead(read),
      (error) => this.fail(asError(error)),
    );
  }

  cancel(): void {
    if (this.#accepted) this.#accepted.cancel();
    else this.#end();
  }

  setPaused(paused: boolean): void {
    this.#paused = paused;
    this.#accepted?.setPaused(paused);
  }

  /** Ends it with an error, unless it has ended or become a request. */
  fail(error: Error): void {
    if (this.#end()) this.#parts.refuse(error);
  }

  #onRead(read: PromptRead): void {
    if (!this.#end()) return;
    this.#accepted = this.#parts.accept(read);
    if (this.#paused) this.#accepted.setPaused(true);
  }

  /** @returns whether it was pending until now */
  #end(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    for (const detach of this.#listeners) detach();
    this.#parts.onSettled();
    this.#resolve();
    return true;
  }

  #follow(signal: AbortSignal | undefined): void {
    if (!signal) return;
    const abort = (): void =>
      this.fail(new AbortedError(`request ${this.requestId} was aborted while its prompt was read`, { cause: signal.reason }));
    signal.addEventListener("abort", abort, { once: true });
    this.#listeners.push(() => signal.removeEventListener("abort", abort));
  }
}

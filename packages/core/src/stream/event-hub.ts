/**
 * EventHub: the engine's hot stream of events and its synchronous observers. Nothing that a listener throws
 * reaches the step loop: it goes to `onError`.
 */
import { Subject, type Observable } from "rxjs";
import type { EngineEvent, EngineObserver } from "../contracts/index.js";
import { GuardedObservable } from "./guarded-observable.js";
import type { ReportConsumerError } from "./request-sink.js";

/** Called with what a consumer or listener threw, and with request errors that nobody handled. */
export type OnError = (error: unknown, context: { readonly requestId: string }) => void;

export type EngineEvents = Observable<EngineEvent>;

export class EventHub {
  /** Hot: late subscribers miss what was; completes when the engine is disposed. */
  readonly events$: EngineEvents;
  readonly #subject = new Subject<EngineEvent>();
  readonly #observers: readonly EngineObserver[];
  readonly #onError: OnError;

  constructor(observers: readonly EngineObserver[], onError: OnError) {
    this.#observers = observers;
    this.#onError = onError;
    const guard = { requestId: "", report: (error: unknown) => this.#notify(error, "") };
    this.events$ = new GuardedObservable<EngineEvent>(guard, (subscriber) => this.#subject.subscribe(subscriber));
  }

  emit(event: EngineEvent): void {
    for (const observer of this.#observers) {
      try {
        observer.onEvent(event);
      } catch (error) {
        this.#notify(error, "requestId" in event ? event.requestId : "");
      }
    }
    this.#subject.next(event);
  }

  /** A consumer's throw, or an error that no consumer handled. */
  readonly reportConsumerError: ReportConsumerError = (error: unknown, requestId: string): void => {
    this.emit({ type: "consumer-error", requestId, error });
    this.#notify(error, requestId);
  };

  complete(): void {
    this.#subject.complete();
  }

  #notify(error: unknown, requestId: string): void {
    try {
      this.#onError(error, { requestId });
    } catch {
      // The handler of last resort failed; there is nobody left to tell, and the loop must go on.
    }
  }
}

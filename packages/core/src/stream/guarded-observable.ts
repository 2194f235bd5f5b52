/**
 * GuardedObservable: an Observable whose consumers cannot bring down the process. RxJS 7 rethrows what an
 * observer throws, and errors nobody handles, from a timer: an uncaught exception. Here a throw ends that
 * subscription (its request is cancelled) and is reported; an unhandled error is reported.
 * The guard follows `pipe()`. Combinators that make their own Observable (`merge`, `from`) have RxJS's rules.
 */
import { Observable, type Observer, type Operator, type Subscriber, type Subscription, type TeardownLogic } from "rxjs";
import type { ReportConsumerError } from "./request-sink.js";

/** Shared by a stream and everything piped from it. */
export interface Guard {
  readonly report: ReportConsumerError;
  /** The request whose event was delivered last: who a throw belongs to. */
  requestId: string;
}

export class GuardedObservable<T> extends Observable<T> {
  readonly #guard: Guard;

  constructor(guard: Guard, subscribe?: (subscriber: Subscriber<T>) => TeardownLogic) {
    super(subscribe);
    this.#guard = guard;
  }

  /** Called by RxJS for each operator of `pipe()`. */
  override lift<R>(operator?: Operator<T, R>): Observable<R> {
    const lifted = new GuardedObservable<R>(this.#guard);
    lifted.source = this;
    lifted.operator = operator;
    return lifted;
  }

  override subscribe(observerOrNext?: Partial<Observer<T>> | ((value: T) => void) | null): Subscription;
  override subscribe(
    next?: ((value: T) => void) | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription;
  override subscribe(
    observerOrNext?: Partial<Observer<T>> | ((value: T) => void) | null,
    error?: ((error: unknown) => void) | null,
    complete?: (() => void) | null,
  ): Subscription {
    // An operator's or another library's subscriber guards its own consumers.
    if (isSubscriber<T>(observerOrNext)) return super.subscribe(observerOrNext);
    const observer = typeof observerOrNext === "function" ? { next: observerOrNext } : (observerOrNext ?? {});
    const merged = { ...bind(observer), ...(error ? { error } : {}), ...(complete ? { complete } : {}) };
    const guarded = new GuardedObserver<T>(merged, this.#guard);
    guarded.attach(super.subscribe(guarded));
    return guarded.subscription;
  }
}

class GuardedObserver<T> implements Observer<T> {
  readonly #observer: Partial<Observer<T>>;
  readonly #guard: Guard;
  #subscription: Subscription | undefined;
  #failed = false;

  constructor(observer: Partial<Observer<T>>, guard: Guard) {
    this.#observer = observer;
    this.#guard = guard;
  }

  get subscription(): Subscription {
    return this.#subscription!;
  }

  /** The source may have emitted, and the observer thrown, before there was a subscription to end. */
  attach(subscription: Subscription): void {
    this.#subscription = subscription;
    if (this.#failed) subscription.unsubscribe();
  }

  next(value: T): void {
    if (this.#failed) return;
    try {
      this.#observer.next?.(value);
    } catch (error) {
      this.#failed = true;
      this.#subscription?.unsubscribe();
      this.#guard.report(error, this.#guard.requestId);
    }
  }

  error(error: unknown): void {
    if (this.#failed) return;
    if (!this.#observer.error) return this.#guard.report(error, this.#guard.requestId);
    this.#quietly(() => this.#observer.error!(error));
  }

  complete(): void {
    if (this.#failed) return;
    this.#quietly(() => this.#observer.complete?.());
  }

  #quietly(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.#guard.report(error, this.#guard.requestId);
    }
  }
}

/** Methods keep their `this`, as RxJS keeps it. */
function bind<T>(observer: Partial<Observer<T>>): Partial<Observer<T>> {
  return {
    ...(observer.next ? { next: (value: T) => observer.next!(value) } : {}),
    ...(observer.error ? { error: (error: unknown) => observer.error!(error) } : {}),
    ...(observer.complete ? { complete: () => observer.complete!() } : {}),
  };
}

/** By shape, as RxJS itself does it, so that a second copy of RxJS is recognised. */
function isSubscriber<T>(value: unknown): value is Subscriber<T> {
  const candidate = value as Partial<Subscriber<T>> | null | undefined;
  return (
    typeof candidate === "object" &&
    typeof candidate?.next === "function" &&
    typeof candidate.add === "function" &&
    typeof candidate.unsubscribe === "function"
  );
}

/**
 * toWebStream: a stream of tokens as a web stream, for `Response` bodies and other web APIs.
 * A TokenStream is pulled, so a slow reader pauses its request. An Observable piped from one cannot be paused:
 * its values wait in the stream's queue.
 */
import type { Observable, Subscription } from "rxjs";
import type { ConsumeOptions } from "./token-stream.js";

/**
 * A function, not an operator: `pipe()` gives Observables only.
 *
 * @example
 * toWebStream(engine.generate("To be"))                  // ReadableStream<TokenEvent>, pauses
 * toWebStream(engine.generate("To be").pipe(toText()))   // ReadableStream<string>
 */
export function toWebStream<T>(source: Observable<T>, options: ConsumeOptions = {}): ReadableStream<T> {
  return isPullable<T>(source) ? pulled(source, options) : pushed(source, options.signal);
}

interface Pullable<T> {
  events(options: ConsumeOptions): AsyncIterableIterator<T>;
}

function isPullable<T>(source: unknown): source is Pullable<T> {
  return typeof (source as Partial<Pullable<T>>).events === "function";
}

function pulled<T>(source: Pullable<T>, options: ConsumeOptions): ReadableStream<T> {
  const iterator = source.events(options);
  return new ReadableStream<T>({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    async cancel() {
      await iterator.return?.();
    },
  });
}

function pushed<T>(source: Observable<T>, signal: AbortSignal | undefined): ReadableStream<T> {
  let subscription: Subscription | undefined;
  let abort: (() => void) | undefined;
  const end = (): void => {
    if (abort) signal?.removeEventListener("abort", abort);
    subscription?.unsubscribe();
  };
  return new ReadableStream<T>({
    start(controller) {
      abort = () => {
        end();
        controller.error(signal!.reason);
      };
      if (signal?.aborted) return abort();
      signal?.addEventListener("abort", abort, { once: true });
      subscription = source.subscribe({
        next: (value) => controller.enqueue(value),
        error: (error) => {
          end();
          controller.error(error);
        },
        complete: () => {
          end();
          controller.close();
        },
      });
    },
    cancel: end,
  });
}

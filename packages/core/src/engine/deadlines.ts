/**
 * Deadlines: which requests must end by when, on the engine's monotonic clock. Asked before each step, and by one
 * timer for when no step runs; a timer that fires early or late only asks again.
 */

/** What has a deadline. */
export interface Deadlined {
  /** Milliseconds of the clock; Infinity = none. */
  readonly deadline: number;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

export class Deadlines<T extends Deadlined> {
  readonly #now: () => number;
  readonly #onExpired: (item: T) => void;
  readonly #items = new Set<T>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(now: () => number, onExpired: (item: T) => void) {
    this.#now = now;
    this.#onExpired = onExpired;
  }

  add(item: T): void {
    if (item.deadline === Infinity) return;
    this.#items.add(item);
    this.#arm();
  }

  delete(item: T): void {
    if (this.#items.delete(item)) this.#arm();
  }

  /** Calls `onExpired` for each that is due; it is forgotten first. */
  expire(): void {
    if (this.#items.size === 0) return;
    const now = this.#now();
    for (const item of this.#items) {
      if (item.deadline > now) continue;
      this.#items.delete(item);
      this.#onExpired(item);
    }
    // Late timers are no reason to keep one.
    if (this.#items.size === 0) this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#items.size === 0) return;
    let earliest = Infinity;
    for (const item of this.#items) earliest = Math.min(earliest, item.deadline);
    const delay = Math.min(Math.max(0, Math.ceil(earliest - this.#now())), LONGEST_TIMER_MS);
    this.#timer = setTimeout(() => {
      this.expire();
      this.#arm();
    }, delay);
  }
}

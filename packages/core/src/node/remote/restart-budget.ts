/**
 * RestartBudget: how often and how soon a child is started again. In: losses, and whether the child had been of use.
 * Out: milliseconds to wait, or that it is enough. Restarts within the window count; waits double while no child works.
 */

export interface RestartLimits {
  readonly maxRestarts: number;
  readonly restartWindowMs: number;
  readonly backoffMs: number;
}

const MAX_DOUBLINGS = 5;

export class RestartBudget {
  readonly #limits: RestartLimits;
  readonly #now: () => number;
  /** When children were restarted, within the window. */
  #restarts: number[] = [];
  #uselessLives = 0;

  constructor(limits: RestartLimits, now: () => number = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  /** A restart happened within the window. */
  get isRecent(): boolean {
    this.#forget();
    return this.#restarts.length > 0;
  }

  /** Whether another restart is within the budget. */
  get admits(): boolean {
    this.#forget();
    return this.#restarts.length < this.#limits.maxRestarts;
  }

  /**
   * Takes one restart.
   * @param useful the lost child had run a step
   * @returns milliseconds to wait, or undefined when the budget is used up
   */
  take(useful: boolean): number | undefined {
    if (!this.admits) return undefined;
    this.#restarts.push(this.#now());
    this.#uselessLives = useful ? 0 : this.#uselessLives + 1;
    return useful ? 0 : this.#limits.backoffMs * 2 ** Math.min(this.#uselessLives - 1, MAX_DOUBLINGS);
  }

  #forget(): void {
    const oldest = this.#now() - this.#limits.restartWindowMs;
    this.#restarts = this.#restarts.filter((time) => time > oldest);
  }
}

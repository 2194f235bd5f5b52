/**
 * EngineLoop: runs steps while there is unfinished work and sleeps otherwise. After each step the caller's thread
 * gets a turn of its event loop. It knows nothing of what a step does.
 */

export interface LoopBody {
  hasWork(): boolean;
  /** Must not reject. @returns whether anything ran */
  step(): Promise<boolean>;
  /** Work is there but only the outside can set it going (every consumer is behind): no polling. */
  isBlocked(): boolean;
}

/** How soon to ask again a scheduler that has work and scheduled none of it. */
const IDLE_POLL_MS = 5;

export class EngineLoop {
  readonly #body: LoopBody;
  readonly #yieldToEventLoop: () => Promise<void>;
  #running: Promise<void> | undefined;
  #awake: (() => void) | undefined;
  /** A wake() that came while a step was returning must not be slept through. */
  #woken = false;
  #stopped = false;

  constructor(body: LoopBody, yieldToEventLoop: () => Promise<void>) {
    this.#body = body;
    this.#yieldToEventLoop = yieldToEventLoop;
  }

  /** Something changed: go on, or start. Cheap; call it freely. */
  wake(): void {
    if (this.#stopped) return;
    this.#woken = true;
    this.#awake?.();
    this.#running ??= this.#run();
  }

  /** Resolves when there is no unfinished work. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  /** Resolves when the step in flight, if any, has ended; nothing runs afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#awake?.();
    await this.idle();
  }

  async #run(): Promise<void> {
    // Requests made in the same turn share the first batch.
    await this.#yieldToEventLoop();
    while (!this.#stopped && this.#body.hasWork()) {
      this.#woken = false;
      const progressed = await this.#body.step();
      if (progressed) await this.#yieldToEventLoop();
      else if (!this.#woken && !this.#stopped && this.#body.hasWork()) await this.#sleep();
    }
    this.#running = undefined;
  }

  #sleep(): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#body.isBlocked() ? undefined : setTimeout(() => this.#awake?.(), IDLE_POLL_MS);
      this.#awake = () => {
        clearTimeout(timer);
        this.#awake = undefined;
        resolve();
      };
    });
  }
}

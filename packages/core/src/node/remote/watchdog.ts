/**
 * Watchdog: says when a child is no longer to be trusted. In: signs of life, and how long its step has been running.
 * Out: one verdict. A host that was itself held up (suspended, a blocked event loop) first reads what arrived meanwhile.
 */

export interface WatchdogLimits {
  readonly heartbeatTimeoutMs: number;
  readonly stepTimeoutMs: number;
}

/** Checks, and beats of the child, per limit. */
const CHECKS_PER_LIMIT = 5;

/** @returns milliseconds between two beats of the child */
export function beatMsOf({ heartbeatTimeoutMs, stepTimeoutMs }: WatchdogLimits): number {
  return Math.min(heartbeatTimeoutMs, stepTimeoutMs) / CHECKS_PER_LIMIT;
}

export class Watchdog {
  readonly #limits: WatchdogLimits;
  readonly #onHang: (reason: string) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #checkMs: number;
  #lastSeen = performance.now();
  #lastCheck = performance.now();

  /** @param onHang called once, with what is wrong */
  constructor(limits: WatchdogLimits, onHang: (reason: string) => void) {
    this.#limits = limits;
    this.#onHang = onHang;
    this.#checkMs = limits.heartbeatTimeoutMs / CHECKS_PER_LIMIT;
    this.#timer = setInterval(() => this.#check(), this.#checkMs);
    this.#timer.unref();
  }

  /** Half of its time is over without a sign of life. */
  get isLate(): boolean {
    return performance.now() - this.#lastSeen > this.#limits.heartbeatTimeoutMs / 2;
  }

  /** A message came. */
  seen(): void {
    this.#lastSeen = performance.now();
  }

  /** A beat came. */
  beat(stepMs: number): void {
    this.seen();
    const { stepTimeoutMs } = this.#limits;
    if (stepMs > stepTimeoutMs)
      this.#hang(`a step has been running for ${Math.round(stepMs)} ms, longer than stepTimeoutMs = ${stepTimeoutMs}`);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const now = performance.now();
    // Messages of the time in which this process did nothing are still unread.
    if (now - this.#lastCheck > 2 * this.#checkMs) this.#lastSeen = Math.max(this.#lastSeen, now - this.#limits.heartbeatTimeoutMs / 2);
    this.#lastCheck = now;
    const silence = now - this.#lastSeen;
    const { heartbeatTimeoutMs } = this.#limits;
    if (silence > heartbeatTimeoutMs)
      this.#hang(`no sign of life for ${Math.round(silence)} ms; heartbeatTimeoutMs is ${heartbeatTimeoutMs}`);
  }

  #hang(reason: string): void {
    this.stop();
    this.#onHang(reason);
  }
}

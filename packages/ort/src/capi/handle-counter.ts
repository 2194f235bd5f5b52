/**
 * Counts native handles by kind, so that tests can see that every one was released.
 * With `watch`, a handle that is collected without having been disposed is reported too (tests only: nothing
 * is ever released by the garbage collector).
 */

export type HandleKind = "env" | "session-options" | "session" | "memory-info" | "value" | "allocator" | "io-binding";

export class HandleCounter {
  readonly #live = new Map<HandleKind, number>();
  #registry: FinalizationRegistry<HandleKind> | undefined;

  /** Handles made and not yet disposed, of one kind or of all. */
  live(kind?: HandleKind): number {
    if (kind) return this.#live.get(kind) ?? 0;
    return [...this.#live.values()].reduce((sum, count) => sum + count, 0);
  }

  /** From now on, calls `onLeak` for handles that are collected undisposed. */
  watch(onLeak: (kind: HandleKind) => void): void {
    this.#registry = new FinalizationRegistry(onLeak);
  }

  opened(kind: HandleKind, owner: object): void {
    this.#live.set(kind, this.live(kind) + 1);
    this.#registry?.register(owner, kind, owner);
  }

  closed(kind: HandleKind, owner: object): void {
    this.#live.set(kind, this.live(kind) - 1);
    this.#registry?.unregister(owner);
  }
}

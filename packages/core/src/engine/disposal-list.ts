/** DisposalList: what an engine made, disposed in reverse order, each once, whatever the others throw. */

export class DisposalList {
  readonly #disposers: (() => unknown)[] = [];

  /** Remembers `value` if it has a way to be disposed; hands it back. */
  own<T>(value: T): T {
    const disposer = disposerOf(value);
    if (disposer) this.#disposers.push(disposer);
    return value;
  }

  defer(disposer: () => unknown): void {
    this.#disposers.push(disposer);
  }

  /** @throws the first error, after all were tried */
  async disposeAll(): Promise<void> {
    const errors: unknown[] = [];
    for (let disposer = this.#disposers.pop(); disposer; disposer = this.#disposers.pop()) {
      try {
        await disposer();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }
}

type MaybeDisposable = { readonly [Symbol.asyncDispose]?: unknown; readonly [Symbol.dispose]?: unknown; readonly dispose?: unknown };

function disposerOf(value: unknown): (() => unknown) | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const candidate = value as MaybeDisposable;
  for (const method of [candidate[Symbol.asyncDispose], candidate[Symbol.dispose], candidate.dispose]) {
    if (typeof method === "function") return () => method.call(value);
  }
  return undefined;
}

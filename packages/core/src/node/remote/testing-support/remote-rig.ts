/** Remote engines for tests: made from `null-engine.mjs`, disposed at the end, with a look at what they left behind. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TokenEvent } from "../../../contracts/index.js";
import { type RemoteEngine, remoteEngine } from "../remote-engine.js";
import type { RemoteEngineOptions } from "../remote-options.js";

export const NULL_ENGINE: URL = new URL("./null-engine.mjs", import.meta.url);

export class RemoteRig {
  readonly #engines: RemoteEngine[] = [];
  readonly #problems: unknown[] = [];
  readonly #onUncaught = (error: unknown): void => void this.#problems.push(error);
  #folder: string | undefined;
  #numFiles = 0;

  constructor() {
    process.on("uncaughtException", this.#onUncaught).on("unhandledRejection", this.#onUncaught);
  }

  async engine(options: Record<string, unknown> = {}, settings: Partial<RemoteEngineOptions> = {}): Promise<RemoteEngine> {
    const engine = await remoteEngine({ module: NULL_ENGINE, options: options as never, output: "ignore", backoffMs: 1, ...settings });
    this.#engines.push(engine);
    return engine;
  }

  /** A file that does not exist yet: what happens `once` makes it. */
  file(): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), "weir-remote-"));
    return join(this.#folder, `once-${this.#numFiles++}`);
  }

  /** @returns uncaught errors, and processes that outlived their engine */
  async finish(): Promise<unknown[]> {
    for (const engine of this.#engines.splice(0)) {
      const { pid } = engine;
      await engine.dispose();
      if (pid !== undefined && isAlive(pid)) this.#problems.push(`process ${pid} is alive`);
    }
    if (this.#folder) rmSync(this.#folder, { recursive: true, force: true });
    process.off("uncaughtException", this.#onUncaught).off("unhandledRejection", this.#onUncaught);
    return this.#problems;
  }
}

/** A zombie is dead: an orphan's may wait long for whoever should read its end. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = `/proc/${pid}/stat`;
    return !existsSync(stat) || !/\) [ZX] /.test(readFileSync(stat, "utf8"));
  } catch {
    return false;
  }
}

/** Open files of this process; 0 where there is no /proc. */
export function openFiles(): number {
  return existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd").length : 0;
}

/** Polls until it holds, for at most `ms`. @throws Error when it does not */
export async function until(what: string, holds: () => boolean, ms = 20_000): Promise<void> {
  const deadline = performance.now() + ms;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What must be equal wherever the engine runs: everything but times. */
export function withoutTimes(events: readonly TokenEvent[]): object[] {
  return events.map((event) => (event.type === "request-end" ? { ...event, timings: Object.keys(event.timings) } : event));
}

/**
 * Supervisor: keeps one child running: the first load with its retries, then restarts within a budget. In: settings.
 * Out: the child's messages, and what became of it. It knows lives, not requests.
 */
import type { EngineHealth, EngineInfo, LoadProgress } from "../../contracts/index.js";
import { AbortedError, EngineRestartedError, fromWireError, ModelLoadError } from "../../errors/index.js";
import { unfitness } from "./child-fitness.js";
import { EngineChild } from "./engine-child.js";
import type { ToChild, ToHost } from "./messages.js";
import type { RemoteSettings } from "./remote-options.js";
import { RestartBudget } from "./restart-budget.js";

export type Running = Extract<ToHost, { readonly type: "ready" | "events" | "beat" }>;

export interface SupervisorHandlers {
  readonly onProgress: (progress: LoadProgress) => void;
  /** A message of a child that is ready. */
  readonly onMessage: (message: Running) => void;
  /** The child was lost; requests must wait for `onReady` or fail. `planned`: it drained because it was told to. */
  readonly onLost: (reason: string, planned: boolean) => void;
  /** Another child is ready. */
  readonly onReady: () => void;
  /** No other child will be started, for now. */
  readonly onFailed: (error: EngineRestartedError) => void;
  readonly onHealth: (health: EngineHealth, reason: string) => void;
}

/** Milliseconds that a child may take to put its engine away. */
const CLOSE_MS = 3000;

type State = "loading" | "ready" | "draining" | "restarting" | "failed" | "closed";

export class Supervisor {
  readonly #settings: RemoteSettings;
  readonly #handlers: SupervisorHandlers;
  readonly #budget: RestartBudget;
  #state: State = "loading";
  #child: EngineChild | undefined;
  #info: EngineInfo | undefined;
  #backoff: NodeJS.Timeout | undefined;
  #steps = 0;
  #busy = true;
  #onEnded: (() => void) | undefined;

  constructor(settings: RemoteSettings, handlers: SupervisorHandlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#budget = new RestartBudget(settings);
  }

  /** Of the latest child that was ready. */
  get info(): EngineInfo {
    return this.#info!;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get isReady(): boolean {
    return this.#state === "ready";
  }

  get health(): EngineHealth {
    if (this.#state === "failed") return "failed";
    if (this.#state !== "ready") return "restarting";
    return this.#budget.isRecent || this.#child!.isLate ? "degraded" : "ok";
  }

  /** @throws what the child's load failed with; ModelLoadError when it was lost too often; AbortedError */
  async load(signal: AbortSignal | undefined): Promise<EngineInfo> {
    for (let retries = 0; ; retries++) {
      const outcome = await this.#loadOnce(signal);
      if (typeof outcome !== "string") return outcome;
      if (retries === this.#settings.maxLoadRetries) {
        this.#state = "closed";
        throw new ModelLoadError(
          `the engine's process was lost while it loaded, ${retries + 1} times; the last time ${outcome}. ` +
            "Its output says more; a damaged or changed model file can do this",
        );
      }
    }
  }

  /** To the child that is ready; otherwise lost. */
  send(message: ToChild): void {
    if (this.#state === "ready" || this.#state === "draining") this.#child?.send(message);
  }

  /** Tries again after a failure, once the budget has room. @throws EngineRestartedError when it has none */
  ensureStarting(): void {
    if (this.#state !== "failed") return;
    if (!this.#budget.admits) throw this.#exhausted("it failed before");
    this.#restart("a request came", true);
  }

  /** Kills the child that is ready: what it says cannot be right. */
  condemn(reason: string): void {
    this.#child?.kill(reason);
  }

  /** Whether requests wait for the child: only then does it keep this process alive. */
  keepAlive(busy: boolean): void {
    this.#busy = busy;
    this.#child?.keepAlive(busy);
    if (busy) this.#backoff?.ref();
    else this.#backoff?.unref();
  }

  /** Ends the child, politely first. */
  async close(): Promise<void> {
    if (this.#state === "closed") return;
    this.#state = "closed";
    clearTimeout(this.#backoff);
    const child = this.#child;
    if (!child) return;
    child.keepAlive(true);
    const ended = new Promise<void>((resolve) => (this.#onEnded = resolve));
    const timer = setTimeout(() => child.kill("it did not close in time"), CLOSE_MS);
    child.send({ type: "close" });
    await ended;
    clearTimeout(timer);
  }

  /** @returns why the child was lost, where it was */
  async #loadOnce(signal: AbortSignal | undefined): Promise<EngineInfo | string> {
    if (signal?.aborted) throw aborted(signal);
    let abort: (() => void) | undefined;
    try {
      return await new Promise<EngineInfo | string>((resolve, reject) => {
        abort = () => void this.close().then(() => reject(aborted(signal!)));
        signal?.addEventListener("abort", abort, { once: true });
        this.#startChild({ onReady: resolve, onLoadError: reject, onLost: resolve });
      });
    } finally {
      if (abort) signal?.removeEventListener("abort", abort);
    }
  }

  #startChild(outcome: LoadOutcome): void {
    let failure: Error | undefined;
    const child: EngineChild = new EngineChild(this.#settings, {
      onMessage: (message) => {
        if (message.type === "load-error") failure = fromWireError(message.error);
        else if (message.type === "ready") failure = this.#accept(message, child, outcome);
        else this.#onMessage(message);
      },
      onEnd: (reason) => this.#onEnd(failure, reason, outcome),
    });
    this.#child = child;
    this.#steps = 0;
    child.keepAlive(this.#busy);
  }

  /** @returns why this child cannot be used */
  #accept(message: Extract<ToHost, { readonly type: "ready" }>, child: EngineChild, outcome: LoadOutcome): Error | undefined {
    if (this.#state === "closed") return undefined;
    const { info } = message;
    const failure = unfitness(message, this.#info);
    if (failure) {
      child.kill(failure.message);
      return failure;
    }
    this.#info = info;
    this.#state = "ready";
    this.#handlers.onMessage(message);
    outcome.onReady(info);
    return undefined;
  }

  #onMessage(message: Exclude<ToHost, { readonly type: "ready" | "load-error" }>): void {
    if (message.type === "progress") this.#handlers.onProgress(message.progress);
    else if (message.type === "draining") {
      if (this.#state === "ready") this.#state = "draining";
    } else if (this.#state === "ready" || this.#state === "draining") {
      if (message.type === "events") this.#steps++;
      this.#handlers.onMessage(message);
    }
  }

  #onEnd(failure: Error | undefined, reason: string, outcome: LoadOutcome): void {
    this.#child = undefined;
    if (this.#state === "closed") return this.#onEnded?.();
    const planned = this.#state === "draining";
    if (this.#state === "ready" || planned) {
      this.#state = "restarting";
      this.#handlers.onLost(reason, planned);
      this.#restart(reason, this.#steps > 0);
    } else if (failure) outcome.onLoadError(failure);
    else outcome.onLost(reason);
  }

  #restart(reason: string, useful: boolean): void {
    // The handler of a loss may have closed the engine.
    if (this.#state === "closed") return;
    const waitMs = this.#budget.take(useful);
    if (waitMs === undefined) {
      this.#state = "failed";
      this.#handlers.onHealth("failed", reason);
      return this.#handlers.onFailed(this.#exhausted(reason));
    }
    this.#state = "restarting";
    this.#handlers.onHealth("restarting", reason);
    this.#backoff = setTimeout(() => this.#startAgain(), waitMs);
    if (!this.#busy) this.#backoff.unref();
  }

  #startAgain(): void {
    this.#startChild({
      onReady: () => {
        this.#handlers.onReady();
        this.#handlers.onHealth("degraded", "it is back");
      },
      onLoadError: (error) => this.#restart(`it could not be made again: ${error.message}`, false),
      onLost: (reason) => this.#restart(`lost while it loaded: ${reason}`, false),
    });
  }

  #exhausted(reason: string): EngineRestartedError {
    const { maxRestarts, restartWindowMs } = this.#settings;
    return new EngineRestartedError(
      `the engine's process was lost (${reason}) and not started again: that would be more than maxRestarts = ${maxRestarts} ` +
        `within ${restartWindowMs} ms; wait, or dispose the engine`,
    );
  }
}

interface LoadOutcome {
  readonly onReady: (info: EngineInfo) => void;
  /** It said why. */
  readonly onLoadError: (error: Error) => void;
  /** It did not. */
  readonly onLost: (reason: string) => void;
}

function aborted(signal: AbortSignal): AbortedError {
  return new AbortedError("making the engine was aborted", { cause: signal.reason });
}

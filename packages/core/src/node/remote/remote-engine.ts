/**
 * remoteEngine: an engine in a process of its own, so that a crash of native code does not take the application along.
 * In: the module or command that makes the engine there. Out: an Engine. A child that is lost is replaced, and its
 * requests go on from their tokens. Supervisor keeps the process, RequestMirror the requests; this ties them together.
 */
import type {
  ChatMessage,
  ChatOptions,
  DisposeOptions,
  Engine,
  EngineInfo,
  EngineStatsSnapshot,
  GenerateOptions,
  Prompt,
} from "../../contracts/index.js";
import { asError } from "../../engine/as-error.js";
import { DisposedError } from "../../errors/index.js";
import { EventHub } from "../../stream/event-hub.js";
import { TokenStream, type EngineEvents } from "../../stream/index.js";
import type { RequestSink } from "../../stream/request-sink.js";
import { EventDispatcher } from "./event-dispatcher.js";
import { completeOptions, type RemoteEngineOptions, type RemoteSettings } from "./remote-options.js";
import { RemoteIntake, type RemoteOrder } from "./remote-intake.js";
import { RemoteStats } from "./remote-stats.js";
import { RequestMirror } from "./request-mirror.js";
import { Supervisor, type Running } from "./supervisor.js";

/**
 * Starts a child process and loads an engine in it. Plug-ins are named by the module that makes the engine there; no
 * object and no code crosses the boundary. Logits processors of a request are therefore refused, and `stats()` is as old
 * as the child's latest message.
 *
 * @throws InvalidOptionsError before a process is started; what the engine's load fails with in the child; ModelLoadError
 *   when the process is lost while it loads, `maxLoadRetries` + 1 times; AbortedError. No process is left then.
 * @example
 * // engine.mjs: export const createEngine = (options) => createEngine({ ...options, backend: cpuBackend() });
 * await using engine = await remoteEngine({ module: "./engine.mjs", options: { model: "./my-model" } });
 * console.log(await engine.generate("To be", { maxTokens: 20 }).text());
 */
export async function remoteEngine(options: RemoteEngineOptions): Promise<RemoteEngine> {
  const settings = completeOptions(options);
  const engine = new RemoteEngine(settings);
  await engine.load(settings.signal);
  return engine;
}

export class RemoteEngine implements Engine {
  readonly events$: EngineEvents;
  readonly #hub: EventHub;
  readonly #supervisor: Supervisor;
  readonly #mirror: RequestMirror;
  readonly #dispatcher: EventDispatcher;
  readonly #intake: RemoteIntake;
  readonly #stats = new RemoteStats();
  #draining = false;
  #disposed = false;
  #disposal: Promise<void> | undefined;

  /** Use `remoteEngine()`. */
  constructor(settings: RemoteSettings) {
    const hub = new EventHub(settings.observers ?? [], settings.onError ?? logError);
    this.#hub = hub;
    this.events$ = hub.events$;
    this.#supervisor = new Supervisor(settings, {
      onProgress: (progress) => {
        settings.onProgress?.(progress);
        settings.progress?.next(progress);
      },
      onMessage: (message) => this.#onMessage(message),
      onLost: (reason, planned) => {
        this.#stats.onLost();
        this.#mirror.onLost(reason, planned);
      },
      onReady: () => hub.emit({ type: "engine-restarted", numReplayed: this.#mirror.replay() }),
      onFailed: (error) => this.#mirror.failAll(error),
      onHealth: (health, reason) => hub.emit({ type: "engine-health", health, reason }),
    });
    const supervisor = this.#supervisor;
    this.#mirror = new RequestMirror({
      hub,
      onRestart: settings.onRestart,
      maxReplays: settings.maxReplays,
      send: (message) => supervisor.send(message),
      isReady: () => supervisor.isReady,
      onBusy: (busy) => supervisor.keepAlive(busy),
    });
    this.#dispatcher = new EventDispatcher({ hub, mirror: this.#mirror, info: () => supervisor.info });
    this.#intake = new RemoteIntake({
      hub,
      mirror: this.#mirror,
      info: () => supervisor.info,
      checkOpen: () => {
        if (this.#draining) throw new DisposedError("the engine was disposed; create another");
        supervisor.ensureStarting();
      },
    });
  }

  get info(): EngineInfo {
    return this.#supervisor.info;
  }

  /** Of the process that runs the engine at present. */
  get pid(): number | undefined {
    return this.#supervisor.pid;
  }

  /** Called once, by `remoteEngine`. */
  async load(signal: AbortSignal | undefined): Promise<void> {
    await this.#supervisor.load(signal);
    this.#supervisor.keepAlive(false);
  }

  generate(prompt: Prompt, options: GenerateOptions = {}): TokenStream {
    return this.#stream({ options, read: () => this.#intake.readPrompt(prompt) });
  }

  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): TokenStream {
    const { tools, addGenerationPrompt, templateVariables, ...generate } = options;
    return this.#stream({
      options: generate,
      read: () => this.#intake.readMessages(messages, { tools, addGenerationPrompt, variables: templateVariables }),
    });
  }

  /** InvalidRequestError when no such request is running; KV blocks are shared where the child still has them. */
  fork(requestId: string, options: GenerateOptions = {}): TokenStream {
    return this.#stream({ options, read: () => this.#intake.readFork(requestId) });
  }

  abort(requestId: string): boolean {
    const request = this.#mirror.get(requestId);
    if (request) this.#mirror.abort(request);
    return request !== undefined;
  }

  /** As old as the child's latest numbers: those of a request's end, or of a beat. Counters go on over restarts. */
  stats(): EngineStatsSnapshot {
    const { counts, size } = this.#mirror;
    return this.#stats.snapshot(this.#supervisor.health, { ...counts, live: size });
  }

  async drain(): Promise<void> {
    while (this.#mirror.size > 0) await this.#mirror.idle();
  }

  /** Resolves when the process is gone. */
  async dispose({ drainMs = 0 }: DisposeOptions = {}): Promise<void> {
    this.#draining = true;
    if (drainMs > 0 && !this.#disposal) await within(this.drain(), drainMs);
    this.#disposal ??= this.#dispose();
    await this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  #stream(order: RemoteOrder): TokenStream {
    const start = (sink: RequestSink, signal?: AbortSignal): ReturnType<RemoteIntake["start"]> => this.#intake.start(order, sink, signal);
    return new TokenStream(start, this.#hub.reportConsumerError, order.options?.bufferLimit);
  }

  #onMessage(message: Running): void {
    if (message.stats) this.#stats.update(message.stats);
    if (message.type !== "events" || this.#disposed) return;
    try {
      this.#dispatcher.dispatch(message.events);
    } catch (error) {
      this.#supervisor.condemn(`it said what cannot be: ${asError(error).message}`);
    }
  }

  async #dispose(): Promise<void> {
    this.#disposed = true;
    this.#mirror.failAll(new DisposedError("the engine was disposed while the request was running"));
    await this.#supervisor.close();
    this.#hub.complete();
  }
}

/** Settles with the promise, or after `ms`. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

function logError(error: unknown): void {
  console.error("weir: unhandled error of a stream's consumer:", error);
}

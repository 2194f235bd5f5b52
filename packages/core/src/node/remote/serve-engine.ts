/**
 * serveEngine: the child's side. In: how to make the engine, and a host on file descriptors 3 (messages, both ways) and
 * 4 (a lifeline: closed when the host is gone). Out: an engine that serves the host until it closes, disappears or the
 * process is told to end. Called by `child-entry.ts` and by the programs that `remoteEngine({ command })` starts.
 */
import { Socket } from "node:net";
import type { LoadProgress } from "../../contracts/index.js";
import type { LLMEngine } from "../../engine/llm-engine.js";
import { InvalidOptionsError, toWireError } from "../../errors/index.js";
import { Channel } from "./channel.js";
import { checkToChild } from "./check-messages.js";
import { holdLifeline, LIFELINE_GRACE_MS } from "./lifeline.js";
import { PROTOCOL_VERSION, type ToChild, type ToHost } from "./messages.js";
import { ProtocolError } from "./schema.js";
import { ServedRequests } from "./served-requests.js";

/** What a load in the child may use. */
export interface ChildLoad {
  /** Fires when nobody wants the engine any more. */
  readonly signal: AbortSignal;
  /** Told to the host. */
  readonly onProgress: (progress: LoadProgress) => void;
}

/** What the module given to `remoteEngine` exports, as `createEngine` or by default. `options` are the host's, as JSON. */
export type EngineFactory = (options: never, load: ChildLoad) => Promise<LLMEngine>;

export type Init = Extract<ToChild, { readonly type: "init" }>;

/** File descriptors that a host gives its child. */
export const CHANNEL_FD = 3;
export const LIFELINE_FD = 4;

/** Exit codes beside 0. */
const CUT_SHORT = 143;
const PROTOCOL_BROKEN = 70;

/**
 * Serves one host, then ends the process: exit code 0 after `close`, SIGTERM, SIGINT or SIGHUP (running requests get
 * the host's `drainMs`; a second signal ends it at once, with 143).
 *
 * @param factory makes the engine from the host's options
 * @example
 * // server.mjs, for remoteEngine({ command: ["node", "server.mjs"], options: { model: "./my-model" } })
 * serveEngine((options, load) => createEngine({ ...options, ...load, backend: cpuBackend() }));
 */
export function serveEngine(factory: EngineFactory): void {
  serve((init, load) => factory(init.options as never, load));
}

/** As serveEngine, for who finds the factory by the first message. */
export function serve(open: (init: Init, load: ChildLoad) => Promise<LLMEngine>): void {
  holdLifeline(LIFELINE_FD);
  const server = new EngineServer(open, new Socket({ fd: CHANNEL_FD, readable: true, writable: true }));
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, () => server.onSignal());
}

class EngineServer {
  readonly #open: (init: Init, load: ChildLoad) => Promise<LLMEngine>;
  readonly #channel: Channel<ToHost, ToChild>;
  readonly #aborted = new AbortController();
  #init: Init | undefined;
  #engine: LLMEngine | undefined;
  #loading: Promise<void> | undefined;
  #requests: ServedRequests | undefined;
  #signals = 0;
  #ending = false;

  constructor(open: (init: Init, load: ChildLoad) => Promise<LLMEngine>, socket: Socket) {
    this.#open = open;
    this.#channel = new Channel(socket, {
      check: checkToChild,
      onMessage: (message) => this.#onMessage(message),
      onBroken: (error) => this.#fail(error),
      onClosed: () => void this.#end(LIFELINE_GRACE_MS, () => process.kill(process.pid, "SIGKILL")),
    });
  }

  /** Drain; the second one is in a hurry. */
  onSignal(): void {
    if (++this.#signals > 1) process.exit(CUT_SHORT);
    this.#channel.send({ type: "draining" });
    void this.#drain();
  }

  #onMessage(message: ToChild): void {
    if (message.type === "init") return this.#start(message);
    if (message.type === "close") return void this.#end(LIFELINE_GRACE_MS, () => process.exit(0));
    if (!this.#requests) throw new ProtocolError(`${message.type} before the engine was ready`);
    if (message.type === "generate") this.#requests.generate(message.id, message.request);
    else if (message.type === "cancel") this.#requests.cancel(message.id);
    else if (message.type === "pause") this.#requests.pause(message.id, message.paused);
    else this.#requests.onRead(message.messages);
  }

  #start(init: Init): void {
    if (this.#init) throw new ProtocolError("init came twice");
    this.#init = init;
    setInterval(() => this.#beat(), init.beatMs).unref();
    this.#beat();
    this.#loading = this.#load(init);
  }

  async #load(init: Init): Promise<void> {
    const onProgress = (progress: LoadProgress): void => this.#channel.send({ type: "progress", progress });
    try {
      if (init.protocol !== PROTOCOL_VERSION) throw otherProtocol(init.protocol);
      const engine = await this.#open(init, { signal: this.#aborted.signal, onProgress });
      this.#engine = engine;
      if (this.#ending) return;
      this.#requests = new ServedRequests(engine, this.#channel);
      this.#channel.send({ type: "ready", protocol: PROTOCOL_VERSION, info: engine.info, stats: engine.stats() });
    } catch (error) {
      if (this.#ending) return;
      this.#channel.send({ type: "load-error", error: toWireError(error) });
      void this.#end(0, () => process.exit(1));
    }
  }

  #beat(): void {
    this.#channel.send({ type: "beat", stepMs: this.#engine?.stepMs() ?? 0, stats: this.#engine?.stats() ?? null });
  }

  async #drain(): Promise<void> {
    const deadline = performance.now() + (this.#init?.drainMs ?? 0);
    // The last events must have left before the engine goes.
    while (this.#requests && this.#requests.size > 0 && performance.now() < deadline) await sleep(5);
    this.#requests?.flush();
    await this.#end(LIFELINE_GRACE_MS, () => process.exit(0));
  }

  #fail(error: unknown): void {
    console.error("weir: the engine's host said what the protocol does not know:", error);
    void this.#end(0, () => process.exit(PROTOCOL_BROKEN));
  }

  /** Puts everything away, for at most `graceMs`, and leaves. What requests still run, the host knows of. */
  async #end(graceMs: number, leave: () => void): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#requests?.mute();
    this.#aborted.abort();
    // A failed load ends here as well, and waits for nobody.
    const away = graceMs === 0 ? Promise.resolve() : this.#putAway();
    await Promise.race([away.catch(() => {}), sleep(graceMs)]);
    await Promise.race([this.#channel.end(), sleep(LIFELINE_GRACE_MS)]);
    leave();
  }

  async #putAway(): Promise<void> {
    await this.#loading;
    await this.#engine?.dispose();
  }
}

function otherProtocol(protocol: number): InvalidOptionsError {
  return new InvalidOptionsError(
    `the host speaks version ${protocol} of the protocol and this process ${PROTOCOL_VERSION}; use the same version of @weir/core in both`,
  );
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * EngineChild: one life of the child process: started, spoken to, watched, killed, reaped. In: how to start it. Out: its
 * messages, and one end with its reason. It knows nothing of requests and starts nothing again.
 */
import { spawn, type ChildProcess } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { builtModule } from "../../platform/built-module.js";
import { Channel } from "./channel.js";
import { checkToHost } from "./check-messages.js";
import { EVENT_WINDOW, PROTOCOL_VERSION, type ToChild, type ToHost } from "./messages.js";
import type { RemoteSettings } from "./remote-options.js";
import { CHANNEL_FD, LIFELINE_FD } from "./serve-engine.js";
import { beatMsOf, Watchdog } from "./watchdog.js";

export interface ChildHandlers {
  readonly onMessage: (message: ToHost) => void;
  /** Called once, when the process is gone; no message comes afterwards. */
  readonly onEnd: (reason: string) => void;
}

/** Starting Node and importing a model's libraries holds up the event loop, on a busy machine for long. */
const LEAST_LOAD_HEARTBEAT_MS = 10_000;
/** One order in so many messages costs nothing. */
const READ_REPORT = EVENT_WINDOW / 4;
/** What a dead process wrote last may still lie in the pipe. */
const LAST_WORDS_MS = 1000;

export class EngineChild {
  readonly #settings: RemoteSettings;
  readonly #handlers: ChildHandlers;
  readonly #process: ChildProcess;
  readonly #channel: Channel<ToChild, ToHost> | undefined;
  readonly #loadTimer: NodeJS.Timeout;
  #watchdog: Watchdog;
  /** Why it was killed. */
  #verdict: string | undefined;
  #alive = true;
  #ended = false;
  #numRead = 0;
  #reason = "";

  constructor(settings: RemoteSettings, handlers: ChildHandlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    const loadLimits = { ...settings, heartbeatTimeoutMs: Math.max(settings.heartbeatTimeoutMs, LEAST_LOAD_HEARTBEAT_MS) };
    this.#watchdog = new Watchdog(loadLimits, (reason) => this.kill(reason));
    const { loadTimeoutMs } = settings;
    this.#loadTimer = setTimeout(() => this.kill(`loading took longer than loadTimeoutMs = ${loadTimeoutMs}`), loadTimeoutMs);
    this.#loadTimer.unref();
    this.#process = start(settings);
    this.#process.once("error", (error) => this.#end(`it could not be started: ${error.message}`));
    this.#process.once("exit", (code, signal) => this.#onExit(code, signal));
    this.#channel = this.#open();
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** It is late with a sign of life. */
  get isLate(): boolean {
    return this.#watchdog.isLate;
  }

  send(message: ToChild): void {
    this.#channel?.send(message);
  }

  /** Works on a stopped process too. Its end is told by `onEnd`. */
  kill(verdict: string): void {
    this.#verdict ??= verdict;
    this.#process.kill("SIGKILL");
  }

  /** Whether it keeps this process alive. */
  keepAlive(alive: boolean): void {
    if (alive) this.#process.ref();
    else this.#process.unref();
    this.#channel?.keepAlive(alive);
  }

  #open(): Channel<ToChild, ToHost> | undefined {
    const socket = this.#process.stdio[CHANNEL_FD] as Socket | null | undefined;
    const lifeline = this.#process.stdio[LIFELINE_FD] as Socket | null | undefined;
    if (!socket || !lifeline) return undefined;
    lifeline.on("error", () => {});
    lifeline.unref();
    const channel = new Channel<ToChild, ToHost>(socket, {
      check: checkToHost,
      onMessage: (message) => this.#onMessage(message),
      onBroken: (error) => this.kill(`it said what the protocol does not know: ${(error as Error).message}`),
      onClosed: () => this.#onClosed(),
    });
    const { module = null, options, drainMs } = this.#settings;
    channel.send({ type: "init", protocol: PROTOCOL_VERSION, module, options, beatMs: beatMsOf(this.#settings), drainMs });
    return channel;
  }

  #onMessage(message: ToHost): void {
    if (message.type === "beat") this.#watchdog.beat(message.stepMs);
    else this.#watchdog.seen();
    if (message.type === "ready") this.#onReady();
    this.#handlers.onMessage(message);
    // After its consumers had it, so that their orders to pause come first.
    if (message.type === "events" && ++this.#numRead === READ_REPORT) this.#reportRead();
  }

  #reportRead(): void {
    this.send({ type: "read", messages: this.#numRead });
    this.#numRead = 0;
  }

  /** From here on the user's limits hold. */
  #onReady(): void {
    clearTimeout(this.#loadTimer);
    this.#watchdog.stop();
    this.#watchdog = new Watchdog(this.#settings, (reason) => this.kill(reason));
  }

  /** Without its channel it is of no use. */
  #onClosed(): void {
    if (this.#alive) setTimeout(() => this.kill("it closed its channel and did not exit"), LAST_WORDS_MS).unref();
    else this.#end();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): void {
    this.#alive = false;
    this.#reason = this.#verdict ?? (signal ? `it was ended by ${signal}` : `it exited with code ${code}`);
    if (!this.#channel) return this.#end();
    if (this.#channel.isClosed) return this.#end();
    setTimeout(() => this.#end(), LAST_WORDS_MS);
  }

  #end(reason = this.#reason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#watchdog.stop();
    clearTimeout(this.#loadTimer);
    this.#channel?.destroy();
    (this.#process.stdio[LIFELINE_FD] as Socket | null | undefined)?.destroy();
    this.#handlers.onEnd(reason);
  }
}

/** In a session of its own: Ctrl-C at a terminal is this process's affair. */
function start({ module, command, env, execArgv, output }: RemoteSettings): ChildProcess {
  const sink = output === "ignore" ? "ignore" : 2;
  const argv = module === undefined ? command! : [process.execPath, ...execArgv, entryPath()];
  return spawn(argv[0]!, argv.slice(1), {
    stdio: ["ignore", sink, sink, "pipe", "pipe"],
    detached: process.platform !== "win32",
    windowsHide: true,
    ...(env ? { env: { ...env } } : {}),
  });
}

function entryPath(): string {
  return fileURLToPath(new URL("./child-entry.js", builtModule(import.meta.url)));
}

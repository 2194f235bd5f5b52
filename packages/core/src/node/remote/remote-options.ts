/** RemoteEngineOptions: what `remoteEngine` takes; checked and completed here, before any process is started. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { EngineObserver, LoadProgress } from "../../contracts/index.js";
import type { ProgressObserver } from "../../engine/engine-options.js";
import { describeValue } from "../../engine/option-checks.js";
import { nearestName } from "../../engine/nearest-name.js";
import { InvalidOptionsError } from "../../errors/index.js";
import type { OnError } from "../../stream/index.js";
import type { Json } from "./schema.js";

export interface RemoteEngineOptions {
  /**
   * Path or file: URL of an ES module that makes the engine in the child: it exports
   * `createEngine(options, { signal, onProgress }): Promise<LLMEngine>`, by name or by default. Either this or `command`.
   */
  readonly module?: string | URL;
  /** A program and its arguments, which calls `serveEngine`; it gets the channel as descriptors 3 and 4. */
  readonly command?: readonly string[];
  /** For `createEngine` in the child: plain JSON. Default {}. */
  readonly options?: Json;
  /** The child's environment. Default: this process's. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Node's flags for `module`, such as --max-old-space-size. Default: none. */
  readonly execArgv?: readonly string[];
  /** Where the child's output goes: both its streams to this process's stderr (default), or nowhere. */
  readonly output?: "inherit" | "ignore";

  /** Milliseconds without a sign of life after which the child is killed, from 50. Default 10,000. */
  readonly heartbeatTimeoutMs?: number;
  /** Milliseconds that one step may take, from 50. Default 120,000: shaders may have to be compiled. */
  readonly stepTimeoutMs?: number;
  /** Milliseconds that a load may take. Default 1,800,000. */
  readonly loadTimeoutMs?: number;
  /** Milliseconds that running requests may take when the child is told to end (SIGTERM). Default 10,000. */
  readonly drainMs?: number;

  /** What happens to requests in flight when the child is lost: they go on in the next one (default), or fail. */
  readonly onRestart?: "replay" | "fail";
  /** Restarts that a running request may see without a new token of its own, from 0. Default 3. */
  readonly maxReplays?: number;
  /** Restarts within `restartWindowMs`, from 0; one more and the engine has failed, until the window has passed. Default 10. */
  readonly maxRestarts?: number;
  /** Milliseconds, from 1. Default 60,000. */
  readonly restartWindowMs?: number;
  /** Milliseconds before a restart after a child that ran no step; doubles up to 32 times that. Default 100. */
  readonly backoffMs?: number;
  /** How often a child that is lost while it loads the first time is tried again. Default 2. */
  readonly maxLoadRetries?: number;

  /** Called synchronously with every engine event. */
  readonly observers?: readonly EngineObserver[];
  /** Told what consumers throw and of request errors nobody handles. Default: console.error. */
  readonly onError?: OnError;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly progress?: ProgressObserver;
  /** Aborts the first load. */
  readonly signal?: AbortSignal;
}

type Defaulted =
  | "options"
  | "execArgv"
  | "output"
  | "heartbeatTimeoutMs"
  | "stepTimeoutMs"
  | "loadTimeoutMs"
  | "drainMs"
  | "onRestart"
  | "maxReplays"
  | "maxRestarts"
  | "restartWindowMs"
  | "backoffMs"
  | "maxLoadRetries";

/** With every default filled in. */
export interface RemoteSettings extends Omit<RemoteEngineOptions, "module" | Defaulted>, Required<Pick<RemoteEngineOptions, Defaulted>> {
  /** A file: URL; undefined with `command`. */
  readonly module: string | undefined;
}

const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** name: default, least, most */
const NUMBERS = {
  heartbeatTimeoutMs: [10_000, 50, LONGEST_TIMER_MS],
  stepTimeoutMs: [120_000, 50, LONGEST_TIMER_MS],
  loadTimeoutMs: [1_800_000, 50, LONGEST_TIMER_MS],
  drainMs: [10_000, 0, LONGEST_TIMER_MS],
  maxReplays: [3, 0, 1_000_000],
  maxRestarts: [10, 0, 1_000_000],
  restartWindowMs: [60_000, 1, LONGEST_TIMER_MS],
  backoffMs: [100, 0, 60_000],
  maxLoadRetries: [2, 0, 1000],
} as const;

const OTHERS = [
  "module",
  "command",
  "options",
  "env",
  "execArgv",
  "output",
  "onRestart",
  "observers",
  "onError",
  "onProgress",
  "progress",
  "signal",
];

/** @throws InvalidOptionsError */
export function completeOptions(given: RemoteEngineOptions): RemoteSettings {
  if (typeof given !== "object" || given === null) throw invalid("options", given, "an object with module or command");
  refuseUnknownNames(given);
  const numbers = Object.fromEntries(
    Object.entries(NUMBERS).map(([name, [fallback, least, most]]) => {
      const value = given[name as keyof typeof NUMBERS] ?? fallback;
      const isWhole = name.startsWith("max");
      if (typeof value === "number" && value >= least && value <= most && (!isWhole || Number.isInteger(value))) return [name, value];
      throw invalid(name, value, `a ${isWhole ? "whole " : ""}number from ${least} to ${most}`);
    }),
  ) as Record<keyof typeof NUMBERS, number>;
  const { output = "inherit", onRestart = "replay", execArgv = [], command } = given;
  if (output !== "inherit" && output !== "ignore") throw invalid("output", output, "inherit or ignore");
  if (onRestart !== "replay" && onRestart !== "fail") throw invalid("onRestart", onRestart, "replay or fail");
  if ((given.module === undefined) === (command === undefined))
    throw new InvalidOptionsError("remoteEngine takes either module or command");
  if (command !== undefined && !isArgv(command)) throw invalid("command", command, "a program and its arguments, as strings");
  if (!Array.isArray(execArgv) || !execArgv.every((flag) => typeof flag === "string")) throw invalid("execArgv", execArgv, "strings");
  return { ...given, ...numbers, output, onRestart, execArgv, module: moduleUrl(given.module), options: plainJson(given.options ?? {}) };
}

function refuseUnknownNames(given: object): void {
  const names = [...Object.keys(NUMBERS), ...OTHERS];
  for (const key of Object.keys(given)) {
    if (names.includes(key)) continue;
    const nearest = nearestName(key, names);
    throw new InvalidOptionsError(`remoteEngine has no option ${describeValue(key)}${nearest ? `; did you mean ${nearest}?` : ""}`);
  }
}

/** Files only: a data: URL would be code in an option. */
function moduleUrl(module: unknown): string | undefined {
  if (module === undefined) return undefined;
  if (module instanceof URL && module.protocol === "file:") return module.href;
  if (typeof module === "string" && module.startsWith("file:")) return module;
  if (typeof module === "string" && module !== "" && !/^[a-z][a-z0-9+.-]+:/i.test(module)) return pathToFileURL(resolve(module)).href;
  throw invalid("module", String(module), "a path or a file: URL");
}

function plainJson(options: unknown): Json {
  try {
    const text: string | undefined = JSON.stringify(options);
    if (text !== undefined) return JSON.parse(text) as Json;
  } catch {
    // A cycle or a bigint: said below.
  }
  throw invalid("options", options, "plain JSON; name plug-ins by module and make them there");
}

function isArgv(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length > 0 && value.every((part) => typeof part === "string") && value[0] !== "";
}

function invalid(name: string, value: unknown, allowed: string): InvalidOptionsError {
  return new InvalidOptionsError(`${name} is ${describeValue(value)}; it takes ${allowed}`);
}

/**
 * Checks EngineOptions before anything is opened or allocated: types, ranges, unknown keys. What depends on the
 * model or the backend is checked in `resolve-limits.ts`, also before anything is allocated.
 */
import type { EngineOptions } from "./engine-options.js";
import { InvalidOptionsError } from "../errors/index.js";
import { nearestName } from "./nearest-name.js";

/** @throws InvalidOptionsError */
export function validateEngineOptions(options: EngineOptions): void {
  if (typeof options !== "object" || options === null) throw invalid("options", options, "an object with model and backend");
  refuseUnknownKeys(options);
  checkModel(options.model);
  for (const name of [
    "maxNumSeqs",
    "maxNumBatchedTokens",
    "maxPrefillChunk",
    "maxModelLen",
    "blockSize",
    "numBlocks",
    "kvCacheBytes",
  ] as const) {
    checkCount(name, options[name], MOST[name]);
  }
  checkOneOf("activations", options.activations, ["auto", "f32"]);
  checkType("strict", options.strict, "boolean");
  checkType("onError", options.onError, "function");
  checkType("onProgress", options.onProgress, "function");
  if (options.progress !== undefined && typeof options.progress?.next !== "function") {
    throw invalid("progress", options.progress, "an observer with next()");
  }
  if (options.observers !== undefined && !isObserverList(options.observers)) {
    throw invalid("observers", options.observers, "an array of objects with onEvent()");
  }
  if (options.signal !== undefined && typeof options.signal?.addEventListener !== "function") {
    throw invalid("signal", options.signal, "an AbortSignal");
  }
  for (const [name, methods] of SERVICES) checkService(name, options[name], methods);
}

/** @throws InvalidOptionsError; a container may hold the backend instead */
export function requireBackend({ backend }: EngineOptions): void {
  if (backend === undefined) throw invalid("backend", backend, "a backend such as cpuBackend(), or a factory that makes one");
}

const MOST = {
  maxNumSeqs: 4096,
  maxNumBatchedTokens: 65_536,
  maxPrefillChunk: 65_536,
  maxModelLen: 2 ** 24,
  blockSize: 1024,
  numBlocks: 2 ** 30,
  kvCacheBytes: 2 ** 50,
} as const;

/** Services by the members that tell one from a mistake. */
const SERVICES = [
  ["backend", ["loadModel", "dispose"]],
  ["scheduler", ["add", "abort", "schedule", "update"]],
  ["blockManager", ["canAllocate", "allocate", "append", "fork", "free"]],
  ["sampler", ["sample"]],
  ["tokenizer", ["encode", "decode", "createDetokenizer"]],
  ["chatTemplate", ["render"]],
  ["quantizer", ["quantize", "dequantize"]],
  ["attentionKernel", []],
] as const satisfies readonly (readonly [keyof EngineOptions, readonly string[]])[];

const KEYS: readonly string[] = [
  "model",
  ...SERVICES.map(([name]) => name),
  ...Object.keys(MOST),
  "kvDtype",
  "quantize",
  "activations",
  "strict",
  "observers",
  "onError",
  "onProgress",
  "progress",
  "signal",
];

function refuseUnknownKeys(options: object): void {
  for (const key of Object.keys(options)) {
    if (KEYS.includes(key)) continue;
    const nearest = nearestName(key, KEYS);
    throw new InvalidOptionsError(`createEngine has no option ${JSON.stringify(key)}${nearest ? `; did you mean ${nearest}?` : ""}`);
  }
}

function checkModel(model: unknown): void {
  if (typeof model === "string" && model !== "") return;
  const loaded = model as { spec?: unknown; weights?: { read?: unknown } } | null | undefined;
  if (typeof loaded === "object" && loaded?.spec && typeof loaded.weights?.read === "function") return;
  throw invalid("model", model, "a path, or a LoadedModel with spec and weights");
}

function checkCount(name: string, value: unknown, most: number): void {
  if (value === undefined || (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most)) return;
  throw invalid(name, value, `a whole number from 1 to ${most}`);
}

function checkOneOf(name: string, value: unknown, allowed: readonly string[]): void {
  if (value !== undefined && !allowed.includes(value as string)) throw invalid(name, value, allowed.join(" or "));
}

function checkType(name: string, value: unknown, type: "boolean" | "function"): void {
  if (value !== undefined && typeof value !== type) throw invalid(name, value, `a ${type}`);
}

function checkService(name: string, value: unknown, methods: readonly string[]): void {
  if (value === undefined) return;
  if (typeof value === "function") {
    if (!/^class\b/.test(Function.prototype.toString.call(value))) return;
    throw new InvalidOptionsError(`${name} is a class; pass an instance, or a factory such as (services) => new ${value.name}(...)`);
  }
  const object = value as Record<string, unknown> | null;
  const missing = typeof object === "object" && object ? methods.filter((method) => typeof object[method] !== "function") : methods;
  if (typeof object !== "object" || object === null || missing.length > 0) {
    throw invalid(name, value, `an object with ${methods.join("(), ")}(), or a factory that makes one`);
  }
}

function isObserverList(value: unknown): boolean {
  return Array.isArray(value) && value.every((observer) => typeof observer?.onEvent === "function");
}

function invalid(name: string, value: unknown, expected: string): InvalidOptionsError {
  return new InvalidOptionsError(`${name} is ${describe(value)}; it takes ${expected}`);
}

function describe(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.slice(0, 80));
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return typeof value === "function" ? "a function" : String(value);
}

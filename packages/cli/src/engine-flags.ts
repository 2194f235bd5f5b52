/**
 * The flags of an engine, as every command with a model takes them, and the engine made from them, here or isolated.
 * Draws the load's progress on stderr when that is a terminal.
 */
import {
  builtModule,
  createEngine,
  type Backend,
  type Engine,
  type EngineOptions,
  type LLMEngine,
  type LoadedModel,
  type LoadProgress,
} from "@weir/core";
import { type Json, remoteEngine } from "@weir/core/node";
import { defaultQuantizer } from "@weir/quant";
import { makeBackend } from "./backends.js";
import type { FlagTable, ParsedFlags } from "./flags.js";
import { ProgressLine } from "./progress-line.js";

export const ENGINE_FLAGS: FlagTable = {
  backend: { kind: "string", value: "NAME", about: "cpu (default), cuda, webgpu or reference (slow, plain f32)" },
  quantize: { kind: "string", value: "SCHEME", about: "f32, int8, int4-g32, int4-g64, int4-g128 or auto" },
  activations: { kind: "string", value: "KIND", about: "auto (default: what is fastest) or f32 (dequantized weights, to compare)" },
  "kv-dtype": { kind: "string", value: "DTYPE", about: "f32 (default) or int8; f16 on cuda" },
  threads: { kind: "count", value: "N", about: "threads of the cpu backend; default: the cores" },
  "block-size": { kind: "count", value: "N", about: "tokens per KV block" },
  "max-model-len": { kind: "count", value: "N", about: "tokens of one stream, prompt and output" },
  "max-num-seqs": { kind: "count", value: "N", about: "streams in one step; default 64" },
  "max-num-batched-tokens": { kind: "count", value: "N", about: "new tokens in one step; default 512" },
  "kv-cache-mb": { kind: "count", value: "MB", about: "size of the KV cache in MiB" },
};

/** Of the commands that can put their engine into a process of its own. */
export const ISOLATE_FLAG: FlagTable = {
  isolate: { kind: "boolean", about: "run the engine in a process of its own, which is replaced when it crashes" },
};

/** What flags say of an engine, as plain data: the same here and in a child process. */
export interface EngineChoice {
  /** Default cpu. */
  readonly backend?: string;
  /** Default: the cores. */
  readonly threads?: number;
  readonly options: Partial<EngineOptions>;
}

/** @param defaults what holds where no flag says otherwise */
export async function openEngine(
  flags: ParsedFlags,
  model: LoadedModel,
  path: string,
  defaults: Partial<EngineOptions> = {},
): Promise<Engine> {
  const progress = new ProgressLine(process.stderr);
  const onProgress = (event: LoadProgress): void => progress.draw(event);
  const choice = engineChoice(flags, defaults);
  try {
    if (!flags.boolean("isolate")) return await makeEngine(choice, { model, onProgress });
    // A wrong name is refused here, before a process is started for nothing.
    await (await chooseBackend(choice)).dispose();
    const module = new URL("./isolated-engine.js", builtModule(import.meta.url));
    return await remoteEngine({ module, options: { ...choice, model: path } as unknown as Json, onProgress });
  } finally {
    progress.clear();
  }
}

export function engineChoice(flags: ParsedFlags, defaults: Partial<EngineOptions> = {}): EngineChoice {
  const backend = flags.string("backend");
  const threads = flags.number("threads");
  return {
    ...(backend === undefined ? {} : { backend }),
    ...(threads === undefined ? {} : { threads }),
    options: { ...defaults, ...engineOptions(flags) },
  };
}

/** @throws what `createEngine` throws, and as chooseBackend */
export async function makeEngine(choice: EngineChoice, rest: Partial<EngineOptions> & Pick<EngineOptions, "model">): Promise<LLMEngine> {
  return createEngine({ ...rest, backend: await chooseBackend(choice), ...choice.options, ...referenceQuantizer(choice) });
}

/** @throws as makeBackend */
export function chooseBackend({ backend = "cpu", threads }: EngineChoice): Promise<Backend> {
  return makeBackend(backend, threads);
}

/** Only what was given. The engine checks names and ranges, with errors that name the option. */
export function engineOptions(flags: ParsedFlags): Partial<EngineOptions> {
  const kvMegabytes = flags.number("kv-cache-mb");
  const options = {
    quantize: flags.string("quantize"),
    activations: flags.string("activations"),
    kvDtype: flags.string("kv-dtype"),
    blockSize: flags.number("block-size"),
    maxModelLen: flags.number("max-model-len"),
    maxNumSeqs: flags.number("max-num-seqs"),
    maxNumBatchedTokens: flags.number("max-num-batched-tokens"),
    kvCacheBytes: kvMegabytes === undefined ? undefined : kvMegabytes * 2 ** 20,
  };
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<EngineOptions>;
}

/** The reference backend has no quantizers of its own: it computes with what ours makes, dequantized. */
function referenceQuantizer({ backend, options }: EngineChoice): Partial<EngineOptions> {
  if (backend !== "reference") return {};
  const found = (["int8", "int4-g32", "int4-g64", "int4-g128"] as const).find((candidate) => candidate === options.quantize);
  return found ? { quantizer: defaultQuantizer(found) } : {};
}

/**
 * The flags of an engine, as every command with a model takes them, and the engine made from them.
 * Draws the load's progress on stderr when that is a terminal.
 */
import { availableParallelism } from "node:os";
import { cpuBackend } from "@weir/backend-cpu";
import { BackendUnavailableError, createEngine, type Backend, type EngineOptions, type LLMEngine, type LoadedModel } from "@weir/core";
import { referenceBackend } from "@weir/core/testing";
import { defaultQuantizer } from "@weir/quant";
import { UsageError, type FlagTable, type ParsedFlags } from "./flags.js";
import { ProgressLine } from "./progress-line.js";

export const ENGINE_FLAGS: FlagTable = {
  backend: { kind: "string", value: "NAME", about: "cpu (default) or reference (slow, plain f32)" },
  quantize: { kind: "string", value: "SCHEME", about: "f32, int8, int4-g32, int4-g64, int4-g128 or auto" },
  activations: { kind: "string", value: "KIND", about: "auto (default: what is fastest) or f32 (dequantized weights, to compare)" },
  "kv-dtype": { kind: "string", value: "DTYPE", about: "f32 (default) or int8" },
  threads: { kind: "count", value: "N", about: "threads of the cpu backend; default: the cores" },
  "block-size": { kind: "count", value: "N", about: "tokens per KV block" },
  "max-model-len": { kind: "count", value: "N", about: "tokens of one stream, prompt and output" },
  "max-num-seqs": { kind: "count", value: "N", about: "streams in one step; default 64" },
  "max-num-batched-tokens": { kind: "count", value: "N", about: "new tokens in one step; default 512" },
  "kv-cache-mb": { kind: "count", value: "MB", about: "size of the KV cache in MiB" },
};

/** @param defaults what holds where no flag says otherwise */
export async function openEngine(
  flags: ParsedFlags,
  model: string | LoadedModel,
  defaults: Partial<EngineOptions> = {},
): Promise<LLMEngine> {
  const progress = new ProgressLine(process.stderr);
  try {
    return await createEngine({
      model,
      backend: chooseBackend(flags),
      onProgress: (event) => progress.draw(event),
      ...defaults,
      ...engineOptions(flags),
      ...referenceQuantizer(flags),
    });
  } finally {
    progress.clear();
  }
}

/** @throws UsageError, BackendUnavailableError, InvalidOptionsError */
export function chooseBackend(flags: ParsedFlags): Backend {
  const name = flags.string("backend") ?? "cpu";
  if (name === "cpu") return cpuBackend({ threads: flags.number("threads") ?? availableParallelism() });
  if (name === "reference") return referenceBackend();
  if (name === "cuda" || name === "webgpu") {
    throw new BackendUnavailableError(`backend ${name} is not part of this version; use --backend cpu`);
  }
  throw new UsageError(`--backend is '${name}'; it takes cpu or reference`);
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
function referenceQuantizer(flags: ParsedFlags): Partial<EngineOptions> {
  const scheme = flags.string("quantize");
  if (flags.string("backend") !== "reference") return {};
  const found = (["int8", "int4-g32", "int4-g64", "int4-g128"] as const).find((candidate) => candidate === scheme);
  return found ? { quantizer: defaultQuantizer(found) } : {};
}

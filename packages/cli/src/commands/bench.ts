/**
 * `weir bench throughput MODEL`: N streams at once through the engine, as a user would run them.
 * prefill rate = prompt tokens / time until the last first token; decode rate = tokens after that instant / time
 * from then to the end. Random prompts from a seed, greedy, end tokens ignored.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Engine, EngineOptions } from "@weir/core";
import type { Command } from "../command.js";
import { ENGINE_FLAGS, ISOLATE_FLAG } from "../engine-flags.js";
import { UsageError, type ParsedFlags } from "../flags.js";
import { withEngine } from "../with-engine.js";

export const bench: Command = {
  usage: "weir bench throughput [MODEL] [--json]",
  about:
    "Streams at once through the engine: random prompts from a seed, greedy, end tokens ignored, after a short warm-up.\n" +
    "Prefill: prompt tokens / time until the last first token. Decode: tokens after that / time from then to the end.",
  flags: {
    streams: { kind: "count", value: "N", about: "default 16" },
    "prompt-tokens": { kind: "count", value: "P", about: "of each prompt; default 128" },
    "max-tokens": { kind: "count", value: "G", about: "new tokens of each stream; default 64" },
    seed: { kind: "number", value: "S", about: "of the prompts; default 1" },
    json: { kind: "boolean", about: "print one JSON object" },
    ...ENGINE_FLAGS,
    ...ISOLATE_FLAG,
  },
  maxPositionals: 2,
  run: async (flags) => {
    const [what, model] = flags.positionals;
    if (what !== "throughput") throw new UsageError(`bench is '${what ?? ""}'; it takes throughput: weir bench throughput [MODEL]`);
    const load = readLoad(flags);
    return withEngine(flags, { model, defaults: ({ spec }) => roomFor(load, spec.maxPositions) }, async (engine) => {
      await streamAll(engine, { ...load, maxTokens: Math.min(2, load.maxTokens) });
      const result = await measure(engine, load);
      process.stdout.write(flags.boolean("json") ? `${JSON.stringify(result)}\n` : table(result));
      return 0;
    });
  },
};

interface Load {
  readonly streams: number;
  readonly promptTokens: number;
  readonly maxTokens: number;
  readonly seed: number;
}

interface Throughput {
  readonly streams: number;
  readonly prefill_tokens_per_s: number;
  readonly decode_tokens_per_s: number;
  readonly ttft_ms: { readonly p50: number; readonly p99: number };
  readonly itl_ms: { readonly p50: number; readonly p99: number };
  readonly loop_delay_p99_ms: number;
  readonly peak_rss_mb: number;
}

async function measure(engine: Engine, load: Load): Promise<Throughput> {
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const start = performance.now();
  const arrivals = await streamAll(engine, load);
  delay.disable();
  const firsts = arrivals.map((times) => times[0]! - start);
  const lastFirst = Math.max(...firsts) + start;
  const end = Math.max(...arrivals.map((times) => times.at(-1)!));
  const decoded = arrivals.flat().filter((time) => time > lastFirst).length;
  const gaps = arrivals.flatMap((times) => times.slice(1).map((time, index) => time - times[index]!));
  return {
    streams: load.streams,
    prefill_tokens_per_s: round((load.streams * load.promptTokens) / ((lastFirst - start) / 1000)),
    decode_tokens_per_s: decoded === 0 ? 0 : round(decoded / ((end - lastFirst) / 1000)),
    ttft_ms: percentiles(firsts),
    itl_ms: percentiles(gaps),
    // The histogram counts the timer's own period of 1 ms.
    loop_delay_p99_ms: round(Math.max(0, delay.percentile(99) / 1e6 - 1)),
    peak_rss_mb: round(process.resourceUsage().maxRSS / 1024),
  };
}

/** @returns per stream, when each token arrived */
async function streamAll(engine: Engine, load: Load): Promise<number[][]> {
  const vocabSize = engine.info.vocabSize;
  return Promise.all(
    Array.from({ length: load.streams }, async (_, stream) => {
      const ids = promptIds(load.promptTokens, vocabSize, load.seed * 7919 + stream);
      const times: number[] = [];
      for await (const event of engine.generate(ids, { maxTokens: load.maxTokens, ignoreEos: true })) {
        if (event.type === "token") times.push(performance.now());
      }
      return times;
    }),
  );
}

function promptIds(length: number, vocabSize: number, seed: number): Int32Array {
  let state = (seed * 2654435761) >>> 0 || 1;
  return Int32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % vocabSize;
  });
}

function percentiles(values: number[]): { p50: number; p99: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0);
  return { p50: at(0.5), p99: at(0.99) };
}

/** For exactly these streams. */
function roomFor({ streams, promptTokens, maxTokens }: Load, maxPositions: number): Partial<EngineOptions> {
  const maxModelLen = promptTokens + maxTokens;
  if (maxModelLen > maxPositions) {
    throw new UsageError(
      `--prompt-tokens ${promptTokens} and --max-tokens ${maxTokens} need ${maxModelLen} positions, and the model has ${maxPositions}; lower one`,
    );
  }
  return { quantize: "auto", maxNumSeqs: streams, maxModelLen };
}

function readLoad(flags: ParsedFlags): Load {
  const load = {
    streams: flags.number("streams") ?? 16,
    promptTokens: flags.number("prompt-tokens") ?? 128,
    maxTokens: flags.number("max-tokens") ?? 64,
    seed: flags.number("seed") ?? 1,
  };
  if (load.streams > MAX_STREAMS) throw new UsageError(`--streams is ${load.streams}; it takes at most ${MAX_STREAMS}`);
  if (!Number.isSafeInteger(load.seed)) throw new UsageError(`--seed is ${load.seed}; it takes a whole number`);
  return load;
}

/** What one step of an engine can hold. */
const MAX_STREAMS = 4096;

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function table(result: Throughput): string {
  return [
    `streams              ${result.streams}`,
    `prefill              ${result.prefill_tokens_per_s} tok/s`,
    `decode               ${result.decode_tokens_per_s} tok/s`,
    `time to first token  ${result.ttft_ms.p50} ms median, ${result.ttft_ms.p99} ms p99`,
    `between tokens       ${result.itl_ms.p50} ms median, ${result.itl_ms.p99} ms p99`,
    `event loop delay     ${result.loop_delay_p99_ms} ms p99`,
    `peak memory          ${result.peak_rss_mb} MB`,
    "",
  ].join("\n");
}

/**
 * Measures node-llama-cpp, the strongest peer, on a random-weight model of a given shape and prints one JSON line.
 * `node llama-cpp.mjs --model llama-1.1b --streams 16 --prompt-tokens 128 --max-tokens 64`. The defaults are the
 * settings that were fastest for the peer (README.md has the figures); the tuning flags are there to check that claim.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { monitorEventLoopDelay, performance } from "node:perf_hooks";
import { parseArgs } from "node:util";
import { FIRST_DUMMY_TOKEN } from "./gguf-metadata.mjs";
import { round, throughputOf } from "./metrics.mjs";
import { findShape } from "./shapes.mjs";
import { defaultCacheFolder, writeGguf } from "./write-gguf.mjs";

/** @typedef {import('node-llama-cpp').LlamaContextSequence} Sequence */
/** @typedef {import('node-llama-cpp').Token} Token */
/** @typedef {ReturnType<typeof parseFlags>} Flags */

const LOOP_DELAY_RESOLUTION = 1; // ms
const WARM_UP_TOKENS = 8;

async function main() {
  const flags = parseFlags();
  const { name, shape } = findShape(flags.model);
  const modelPath = writeGguf(name, { folder: flags.cache, weights: flags.weights, head: flags.head });
  const { context, dispose } = await createContext(modelPath, flags);
  try {
    const sequences = Array.from({ length: flags.streams }, () => context.getSequence());
    await runStreams(sequences, randomPrompts(shape.vocab, flags.streams, WARM_UP_TOKENS), 2, flags);
    for (const sequence of sequences) await sequence.clearHistory();

    const prompts = randomPrompts(shape.vocab, flags.streams, flags.promptTokens);
    const loopDelay = monitorEventLoopDelay({ resolution: LOOP_DELAY_RESOLUTION });
    loopDelay.enable();
    const start = performance.now();
    const arrivals = await runStreams(sequences, prompts, flags.maxTokens, flags);
    loopDelay.disable();
    console.log(
      JSON.stringify({
        engine: "node-llama-cpp",
        version: installedVersion(),
        model: name,
        streams: flags.streams,
        prompt_tokens: flags.promptTokens,
        max_tokens: flags.maxTokens,
        pace: flags.pace,
        ...throughputOf(arrivals, start, flags.promptTokens),
        // the histogram holds whole timer periods; the delay is what exceeds one
        loop_delay_p99_ms: round(Math.max(0, loopDelay.percentile(99) / 1e6 - LOOP_DELAY_RESOLUTION)),
        peak_rss_mb: Math.round(process.resourceUsage().maxRSS / 1024),
      }),
    );
  } finally {
    await dispose();
  }
}

function parseFlags() {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: "llama-1.1b" },
      streams: { type: "string", default: "16" },
      "prompt-tokens": { type: "string", default: "128" },
      "max-tokens": { type: "string", default: "64" },
      threads: { type: "string", default: String(availableParallelism()) },
      cache: { type: "string", default: defaultCacheFolder },
      // tuning
      pace: { type: "string", default: "lockstep" },
      "batch-size": { type: "string", default: "1024" },
      flash: { type: "string", default: "on" },
      mmap: { type: "string", default: "off" },
      api: { type: "string", default: "evaluate" },
      priority: { type: "string", default: "maximumParallelism" },
      kv: { type: "string", default: "F16" },
      weights: { type: "string", default: "q4_0" },
      head: { type: "string" },
    },
  });
  return {
    model: values.model,
    streams: positive("streams", values.streams),
    promptTokens: positive("prompt-tokens", values["prompt-tokens"]),
    maxTokens: positive("max-tokens", values["max-tokens"]),
    threads: positive("threads", values.threads),
    cache: values.cache,
    pace: oneOf("pace", values.pace, ["lockstep", "free"]),
    batchSize: positive("batch-size", values["batch-size"]),
    flash: oneOf("flash", values.flash, ["on", "off"]) === "on",
    mmap: oneOf("mmap", values.mmap, ["on", "off"]) === "on",
    api: oneOf("api", values.api, ["evaluate", "controlled"]),
    priority: oneOf("priority", values.priority, ["maximumParallelism", "firstInFirstOut"]),
    kv: oneOf("kv", values.kv, ["F16", "F32", "Q8_0"]),
    weights: oneOf("weights", values.weights, ["q4_0", "q8_0"]),
    head: values.head === undefined ? undefined : oneOf("head", values.head, ["q6_k", "q8_0", "q4_0"]),
  };
}

/** @param {string} modelPath @param {Flags} flags */
async function createContext(modelPath, flags) {
  const { getLlama } = await import("node-llama-cpp").catch((error) => {
    if (error?.code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new RangeError("node-llama-cpp is not installed: run `npm ci --ignore-scripts` in bench/peers");
  });
  const llama = await getLlama({ gpu: false, build: "never", skipDownload: true, maxThreads: flags.threads });
  const model = await llama.loadModel({ modelPath, useMmap: flags.mmap });
  const context = await model.createContext({
    sequences: flags.streams,
    contextSize: flags.promptTokens + flags.maxTokens, // per sequence
    batchSize: flags.batchSize,
    threads: { ideal: flags.threads, min: flags.threads },
    flashAttention: flags.flash,
    experimentalKvCacheKeyType: flags.kv,
    experimentalKvCacheValueType: flags.kv,
    batching: { dispatchSchedule: "nextCycle", itemPrioritizationStrategy: flags.priority },
  });
  return { context, dispose: () => llama.dispose() };
}

/**
 * Generates exactly `maxTokens` per stream and resolves to the arrival times, ms, one array per stream.
 * @param {Sequence[]} sequences @param {Token[][]} prompts @param {number} maxTokens @param {Flags} flags
 */
async function runStreams(sequences, prompts, maxTokens, { api, pace }) {
  /** @type {number[][]} */
  const arrivals = sequences.map(() => []);
  const nexts = sequences.map((sequence, i) => {
    const next = api === "evaluate" ? fromEvaluate(sequence, prompts[i]) : fromControlled(sequence, prompts[i]);
    return async () => {
      await next();
      arrivals[i].push(performance.now());
    };
  });
  if (pace === "lockstep") {
    for (let step = 0; step < maxTokens; step++) await Promise.all(nexts.map((next) => next()));
  } else {
    await Promise.all(
      nexts.map(async (next) => {
        for (let step = 0; step < maxTokens; step++) await next();
      }),
    );
  }
  return arrivals;
}

/** @param {Sequence} sequence @param {Token[]} prompt @returns {() => Promise<void>} */
function fromEvaluate(sequence, prompt) {
  const tokens = sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true });
  return async () => {
    if ((await tokens.next()).done) throw new Error("a stream ended before --max-tokens");
  };
}

/** @param {Sequence} sequence @param {Token[]} prompt @returns {() => Promise<void>} */
function fromControlled(sequence, prompt) {
  let input = prompt;
  return async () => {
    const last = /** @type {Token} */ (input.at(-1));
    const output = await sequence.controlledEvaluate([
      ...input.slice(0, -1),
      [last, { generateNext: { token: true, options: { temperature: 0 } } }],
    ]);
    input = [/** @type {Token} */ (output.at(-1)?.next.token)];
  };
}

/**
 * Seeded, so that every run evaluates the same prompts; no two share a prefix.
 * @param {number} vocab @param {number} numPrompts @param {number} length
 */
function randomPrompts(vocab, numPrompts, length) {
  let state = 1;
  const nextToken = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' LCG; its high bits are good enough
    return /** @type {Token} */ (FIRST_DUMMY_TOKEN + Math.floor((state / 2 ** 32) * (vocab - FIRST_DUMMY_TOKEN)));
  };
  return Array.from({ length: numPrompts }, () => Array.from({ length }, nextToken));
}

function installedVersion() {
  const manifest = new URL("../package.json", import.meta.resolve("node-llama-cpp"));
  return JSON.parse(readFileSync(manifest, "utf8")).version;
}

/** @param {string} flag @param {string} text */
function positive(flag, text) {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${flag} ${text}: use a whole number from 1`);
  return value;
}

/** @template {string} T @param {string} flag @param {string} text @param {readonly T[]} allowed @returns {T} */
function oneOf(flag, text, allowed) {
  const found = allowed.find((value) => value === text);
  if (found === undefined) throw new RangeError(`--${flag} ${text}: use ${allowed.join(" or ")}`);
  return found;
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = error instanceof RangeError || error?.code?.startsWith("ERR_PARSE_ARGS") ? 2 : 1;
}

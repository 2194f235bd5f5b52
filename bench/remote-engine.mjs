/**
 * What the process boundary costs: the demo model with many streams, in this process and behind `remoteEngine`, the two
 * alternating. Asked: at most 5 % of throughput at 16 streams.
 * `node bench/remote-engine.mjs [--repetitions 9] [--streams 16] [--max-tokens 512]`. Writes
 * bench/results/<date>-remote-engine.json and one line.
 */
import { fileURLToPath } from "node:url";
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine } from "@weir/core";
import { remoteEngine } from "@weir/core/node";
import { randomPrompts } from "./lib/engine-load.mjs";
import { readFlags } from "./lib/flags.mjs";
import { writeResult } from "./lib/results.mjs";
import { median, round, summaryOf } from "./lib/statistics.mjs";

const LIMIT_PERCENT = 5;
const DEMO_MODEL = fileURLToPath(new URL("../packages/cli/model/tiny-shakespeare", import.meta.url));

const flags = readFlags("node bench/remote-engine.mjs: the cost of the process boundary", {
  repetitions: { kind: "count", about: "pairs of runs", default: 9 },
  streams: { kind: "count", about: "at once", default: 16 },
  "prompt-tokens": { kind: "count", about: "of each", default: 32 },
  "max-tokens": { kind: "count", about: "new tokens of each", default: 512 },
  quick: { kind: "boolean", about: "two pairs" },
});
const load = { streams: flags.streams, promptTokens: flags["prompt-tokens"], maxTokens: flags["max-tokens"] };
const options = { model: DEMO_MODEL, quantize: "auto", maxNumSeqs: load.streams };

/** @type {Record<"inProcess" | "remote", import("@weir/core").Engine>} */
const engines = {
  inProcess: await createEngine({ .../** @type {any} */ (options), backend: cpuBackend() }),
  remote: await remoteEngine({ module: new URL("./lib/demo-engine.mjs", import.meta.url), options }),
};
/** @type {Record<string, { tokensPerSecond: number, stepMs: Record<string, number> }[]>} */
const runs = { inProcess: [], remote: [] };
for (const engine of Object.values(engines)) await measure(engine);
for (let i = 0; i < (flags.quick ? 2 : flags.repetitions); i++) {
  // Who goes first alternates as well.
  const order = /** @type {const} */ (["inProcess", "remote"]);
  for (const name of i % 2 === 0 ? order : order.toReversed()) runs[name]?.push(await measure(engines[name]));
}
for (const engine of Object.values(engines)) await engine.dispose();
report();

/** @param {import("@weir/core").Engine} engine */
async function measure(engine) {
  const { promptTokens, maxTokens, streams } = load;
  const prompts = randomPrompts(engine.info.vocabSize, streams, promptTokens);
  const before = engine.stats();
  const start = performance.now();
  await Promise.all(
    prompts.map(async (prompt) => {
      for await (const _ of engine.generate(prompt, { maxTokens, ignoreEos: true }));
    }),
  );
  const milliseconds = performance.now() - start;
  const after = engine.stats();
  const steps = after.steps - before.steps;
  const perStep = (/** @type {"schedule" | "execute" | "process"} */ key) =>
    round((after.milliseconds[key] - before.milliseconds[key]) / steps, 3);
  const stepMs = {
    whole: round(milliseconds / steps, 3),
    schedule: perStep("schedule"),
    execute: perStep("execute"),
    process: perStep("process"),
  };
  return { tokensPerSecond: round((streams * maxTokens * 1000) / milliseconds, 1), stepMs };
}

function report() {
  const rates = { inProcess: summaryOf(ratesOf("inProcess")), remote: summaryOf(ratesOf("remote")) };
  // Pair by pair: what the machine does to one it mostly does to the other.
  const overhead = summaryOf(ratesOf("inProcess").map((rate, i) => 100 * (1 - (ratesOf("remote")[i] ?? NaN) / rate)));
  const stepMs = Object.fromEntries(Object.keys(runs).map((name) => [name, stepOf(name)]));
  const verdict = overhead.median <= LIMIT_PERCENT ? "met" : "not met";
  console.log(
    `Process boundary, demo model, ${load.streams} streams of ${load.maxTokens} tokens, ${runs["remote"]?.length} pairs: ` +
      `${rates.inProcess.median} tok/s in process, ${rates.remote.median} remote; overhead ${overhead.median} % ` +
      `(${overhead.min} to ${overhead.max}), asked <= ${LIMIT_PERCENT} %: ${verdict}\n${JSON.stringify(stepMs)}\n`,
  );
  console.error(`wrote ${writeResult("remote-engine", { load, rates, overhead, stepMs, runs }, flags.quick)}`);
}

/** @param {string} name */
function ratesOf(name) {
  return (runs[name] ?? []).map(({ tokensPerSecond }) => tokensPerSecond);
}

/** Medians. @param {string} name */
function stepOf(name) {
  const all = (runs[name] ?? []).map(({ stepMs }) => stepMs);
  return Object.fromEntries(
    ["whole", "schedule", "execute", "process"].map((key) => [key, round(median(all.map((one) => one[key] ?? NaN)), 3)]),
  );
}

/**
 * How long the caller's event loop is held up while the 1.1 B shape decodes 16 streams: p99 of
 * `monitorEventLoopDelay({ resolution: 1 })`, as `weir bench throughput` measures it. Asked: < 20 ms.
 * `node bench/event-loop.mjs [--repetitions 3] [--reuse]`. Writes bench/results/<date>-event-loop.json and one line.
 */
import { commandOf, seriesName } from "./lib/engines.mjs";
import { readFlags } from "./lib/flags.mjs";
import { spread } from "./lib/markdown.mjs";
import { readResult, writeResult } from "./lib/results.mjs";
import { runChild } from "./lib/run-child.mjs";
import { summaryOf } from "./lib/statistics.mjs";

const LIMIT_MS = 20;

const flags = readFlags("node bench/event-loop.mjs: event loop delay under load", {
  repetitions: { kind: "count", about: "fresh processes", default: 3 },
  streams: { kind: "count", about: "at once", default: 16 },
  reuse: { kind: "boolean", about: "take today's throughput runs of the same load, where there are any" },
  quick: { kind: "boolean", about: "one repetition" },
});
const load = { model: "llama-1.1b", streams: flags.streams, promptTokens: 128, maxTokens: 64 };
/** @type {import("./lib/engines.mjs").Series} */
const series = { engine: "weir", quantize: "int8", kvDtype: "int8" };

const reused = flags.reuse ? runsOfThroughput() : [];
const runs = reused.length > 0 ? reused : await measure();
const delay = summaryOf(runs.map(({ result }) => result.loop_delay_p99_ms));
const verdict = delay.max < LIMIT_MS ? "met" : "not met";
console.log(
  `Event loop delay p99, ${load.streams} streams, ${runs.length} runs: ${spread(delay)} ms, asked < ${LIMIT_MS} ms: ${verdict}\n`,
);
console.error(`wrote ${writeResult("event-loop", { load, delay, runs }, flags.quick)}`);

async function measure() {
  const { args } = commandOf(load, series);
  const all = [];
  for (let i = 0; i < (flags.quick ? 1 : flags.repetitions); i++) all.push(await runChild(args));
  return all;
}

/** Runs of the same command that `throughput.mjs` made. */
function runsOfThroughput() {
  const { loads = {}, measurements = [] } = readResult("throughput", flags.quick) ?? {};
  const same = (/** @type {string} */ scenario) => JSON.stringify(loads[scenario]) === JSON.stringify(load);
  return measurements.filter((/** @type {any} */ one) => same(one.scenario) && one.series === seriesName(series));
}

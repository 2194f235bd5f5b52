/**
 * Weir against the strongest peer on the same shapes: rates, ratios, plots.
 * `node bench/throughput.mjs [--scenarios llama-16,qwen-16] [--repetitions 5] [--minutes 20] [--quick] [--no-peer]`
 * Each run is a fresh process. Rounds go over all scenarios and alternate the engines, so that a slow minute of the
 * machine hits both. Writes bench/results/<date>-throughput.json after each run, then markdown and SVG.
 */
import { commandOf, installPeer, seriesName } from "./lib/engines.mjs";
import { readFlags } from "./lib/flags.mjs";
import { writeResult, writeText } from "./lib/results.mjs";
import { runChild } from "./lib/run-child.mjs";
import { SCENARIOS } from "./lib/scenarios.mjs";
import { plotThroughput } from "./lib/throughput-plot.mjs";
import { ratioTable, rateTable, summarize } from "./lib/throughput-report.mjs";

/** @typedef {import("./lib/scenarios.mjs").Scenario} Scenario */
/** @typedef {{ scenario: string, round: number, series: string, seconds: number, result: any, disturbed?: boolean }} Measurement */

const MINOR_REPETITIONS = 2;

const flags = readFlags("node bench/throughput.mjs: Weir against node-llama-cpp, interleaved", {
  scenarios: { kind: "string", about: "some of the list, comma-separated; default: all", oneOf: SCENARIOS.map(({ id }) => id) },
  repetitions: { kind: "count", about: "rounds", default: 5 },
  "side-repetitions": { kind: "count", about: "rounds of the series that carry no target", default: 1 },
  minutes: { kind: "count", about: "begin no round that would not fit", default: 60 },
  "no-peer": { kind: "boolean", about: "Weir alone" },
  quick: { kind: "boolean", about: "one round, without the series that carry no target, and no plots" },
});
const started = performance.now();
const scenarios = SCENARIOS.filter(({ id }) => !flags.scenarios || flags.scenarios.split(",").includes(id));
const repetitions = flags.quick ? 1 : flags.repetitions;
// A part never replaces the whole.
const isWhole = !flags.quick && !flags.scenarios && !flags["no-peer"];
const resultName = `throughput${flags.scenarios ? `-${flags.scenarios.replaceAll(",", "+")}` : ""}${flags["no-peer"] ? "-alone" : ""}`;

if (!flags["no-peer"]) installPeer();
/** @type {Measurement[]} */
const measurements = [];
for (let round = 0; round < repetitions; round++) {
  if (round > 0 && elapsedMinutes() + roundMinutes(round) > flags.minutes) {
    console.error(`stopped after ${round} of ${repetitions} rounds: the next one takes about ${roundMinutes(round).toFixed(1)} minutes`);
    break;
  }
  for (const scenario of scenarios) for (const series of seriesOf(scenario, round)) await measure(scenario, series, round);
}
report();

/** @param {Scenario} scenario @param {number} round */
function seriesOf({ runs }, round) {
  const rounds = { main: repetitions, minor: MINOR_REPETITIONS, side: flags.quick ? 0 : flags["side-repetitions"] };
  return runs
    .filter(({ series, importance }) => round < rounds[importance] && !(flags["no-peer"] && series.engine === "peer"))
    .map(({ series }) => series);
}

/** @param {Scenario} scenario @param {import("./lib/engines.mjs").Series} series @param {number} round */
async function measure(scenario, series, round) {
  const { args, cwd } = commandOf(scenario.load, series);
  const run = await runChild(args, cwd ? { cwd } : {});
  measurements.push({ scenario: scenario.id, round, series: seriesName(series), ...run });
  const { prefill_tokens_per_s: prefill, decode_tokens_per_s: decode } = run.result;
  const note = run.disturbed ? `, others used ${Math.round((run.othersCpu ?? 0) * 100)} % of the machine` : "";
  console.error(
    `${elapsedMinutes().toFixed(1).padStart(5)} min  round ${round + 1}  ${scenario.id.padEnd(12)}${seriesName(series).padEnd(26)}` +
      `prefill ${prefill} decode ${decode} tok/s (${run.seconds} s${note})`,
  );
  save();
}

function report() {
  const { loads, cells } = save();
  for (const model of new Set(scenarios.map(({ load }) => load.model))) {
    console.log(`### ${model}: 64 new tokens, medians (least-most)\n\n${rateTable(scenarios, cells, model)}`);
    const plot = plotThroughput(model, loads, cells);
    if (plot && isWhole) console.error(`wrote ${writeText(`throughput-${model}.svg`, plot)}`);
  }
  if (!flags["no-peer"]) console.log(`### Times the peer, medians of the rounds (least-most)\n\n${ratioTable(scenarios, measurements)}`);
}

function save() {
  const loads = Object.fromEntries(scenarios.map(({ id, load }) => [id, load]));
  const cells = summarize(measurements);
  const minutes = Math.round(elapsedMinutes() * 10) / 10;
  writeResult(resultName, { minutes, loads, cells, measurements }, flags.quick);
  return { loads, cells };
}

/** What a round takes, from the latest run of each series in it. @param {number} round */
function roundMinutes(round) {
  const seconds = scenarios.flatMap((scenario) =>
    seriesOf(scenario, round).map((series) => {
      const same = (/** @type {Measurement} */ one) => one.scenario === scenario.id && one.series === seriesName(series);
      return measurements.findLast(same)?.seconds ?? 0;
    }),
  );
  return seconds.reduce((sum, value) => sum + value, 0) / 60;
}

function elapsedMinutes() {
  return (performance.now() - started) / 60_000;
}

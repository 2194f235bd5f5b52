/**
 * Child of `step-profile.mjs`: `node step-child.mjs LOAD_AS_JSON`. Runs the load once, prints one line of JSON: medians
 * of the engine's own step times and of the time from one step's end to the next, for decode and for prefill steps.
 */
import { openEngine, runStreams } from "./engine-load.mjs";
import { median, round } from "./statistics.mjs";

/** @typedef {import("@weir/core").StepStats & { period: number }} Step  period: since the last step's end, ms */

const load = JSON.parse(process.argv[2]);
const engine = await openEngine(load);
/** @type {Step[]} */
const steps = [];
let lastEnd = performance.now();
engine.events$.subscribe((event) => {
  if (event.type !== "step-end") return;
  const now = performance.now();
  steps.push({ ...event.stats, period: now - lastEnd });
  lastEnd = now;
});
await runStreams(engine, { ...load, maxTokens: 2 }); // warm-up
steps.length = 0;
await runStreams(engine, load);
await engine.dispose();

const measured = steps.slice(1); // the first one's period holds the idle time before it
const decode = measured.filter(({ numBatchedTokens, numRows }) => numBatchedTokens === load.streams && numRows === load.streams);
const prefill = measured.filter(({ numBatchedTokens }) => numBatchedTokens >= 4 * load.streams);
console.log(JSON.stringify({ decode: profileOf(decode), prefill: profileOf(prefill.length > 0 ? prefill : steps.slice(0, 1)) }));

/** Medians, ms. Parts of one step's period, in order; what is left is the engine's turn of the event loop. @param {Step[]} all */
function profileOf(all) {
  const of = (/** @type {(step: Step) => number} */ read) => round(median(all.map(read)), 3);
  return {
    steps: all.length,
    tokens: of((step) => step.numBatchedTokens),
    period: of(wholeOf),
    schedule: of((step) => step.schedule),
    dense: of((step) => step.runner.dense),
    attention: of((step) => step.runner.attention),
    sampling: of((step) => step.runner.sampling),
    handover: of((step) => step.execute - step.runner.total),
    process: of((step) => step.process),
    yield: of((step) => wholeOf(step) - step.schedule - step.execute - step.process),
    outside: of((step) => wholeOf(step) - step.runner.dense - step.runner.attention),
  };
}

/** A lone first step has no step before it: then the sum of its parts. @param {Step} step */
function wholeOf(step) {
  return step === steps[0] ? step.schedule + step.execute + step.process : step.period;
}

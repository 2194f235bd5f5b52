/**
 * Worker of `operator-profile.mjs`. In: `workerData` { model, scheme, tokenCounts, repetitions }. Out: one message, a
 * Run per step. A thread of its own because the engine's runner is one: the C library gives each thread another heap,
 * and what temporaries cost there differs.
 */
import { parentPort, workerData } from "node:worker_threads";
import { SegmentLab } from "./segment-lab.mjs";

/** @typedef {{ cat: string, name: string, ts: number, dur: number, args?: { op_name?: string } }} ProfileEvent  microseconds */
/**
 * @typedef {object} Run
 * @property {number} tokens
 * @property {number} ms
 * @property {number} pageFaults  of the whole process
 * @property {Record<string, number>} operators  ms by operator, summed over the segments
 */

const WARM_UP_RUNS = 2;

const { model, scheme, tokenCounts, repetitions } = workerData;
const lab = await SegmentLab.open(model, scheme, Math.max(...tokenCounts));
/** @type {(Run & { counts: boolean })[]} */
const runs = [];
for (const tokens of tokenCounts) {
  for (let i = 0; i < WARM_UP_RUNS + repetitions; i++) {
    const before = process.resourceUsage().minorPageFault;
    const ms = lab.run(tokens);
    const pageFaults = process.resourceUsage().minorPageFault - before;
    runs.push({ tokens, ms, pageFaults, operators: {}, counts: i >= WARM_UP_RUNS });
  }
}
for (const profile of lab.finish()) addOperators(profile);
parentPort?.postMessage(runs.filter(({ counts }) => counts));

/** @param {readonly ProfileEvent[]} events  of one segment, which was run once for each of `runs`, in order */
function addOperators(events) {
  const windows = events.filter(({ cat, name }) => cat === "Session" && name === "model_run").sort((a, b) => a.ts - b.ts);
  if (windows.length !== runs.length) throw new Error(`a profile holds ${windows.length} runs, not ${runs.length}`);
  for (const { cat, name, ts, dur, args } of events) {
    if (cat !== "Node" || !name.endsWith("_kernel_time") || !args?.op_name) continue;
    const { operators } = runs[windows.findLastIndex((window) => window.ts <= ts)];
    operators[args.op_name] = (operators[args.op_name] ?? 0) + dur / 1000;
  }
}

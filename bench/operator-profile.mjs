/**
 * Where the dense part's time goes, by operator, from ONNX Runtime's own profiler, for steps of 1 to 256 tokens.
 * `node bench/operator-profile.mjs [--scheme int8] [--model llama-1.1b] [--tokens 1,16,128,256]`
 * Writes bench/results/<date>-operators-<model>-<scheme>.json and a markdown table. The profiler costs 1-2 us a node.
 */
import { Worker } from "node:worker_threads";
import { openModelFolder } from "@weir/core/node";
import { readFlags } from "./lib/flags.mjs";
import { figure, markdownTable } from "./lib/markdown.mjs";
import { writeResult } from "./lib/results.mjs";
import { productOperations } from "./lib/segment-lab.mjs";
import { median, round } from "./lib/statistics.mjs";

/** @typedef {import("./lib/operator-worker.mjs").Run} Run */

const MATRIX_PRODUCTS = /^(MatMul|FusedMatMul|Gemm|DynamicQuantizeMatMul|FusedGemm)/;

const flags = readFlags("node bench/operator-profile.mjs: the dense part by operator", {
  model: { kind: "string", about: "shape", oneOf: ["llama-1.1b", "qwen2.5-0.5b"], default: "llama-1.1b" },
  scheme: {
    kind: "string",
    about: "weights",
    oneOf: ["int8", "int4-g128", "int4-g64", "int4-g32", "f32"],
    default: "int8",
  },
  tokens: { kind: "string", about: "of one step, comma-separated", default: "1,16,128,256" },
  repetitions: { kind: "count", about: "runs of each", default: 9 },
  quick: { kind: "boolean", about: "three runs of each" },
});
const { model, scheme } = flags;
const repetitions = flags.quick ? 3 : flags.repetitions;
const tokenCounts = flags.tokens.split(",").map(Number);

const { spec, weights } = await openModelFolder(`random:${model}`);
await weights.close();
const runs = await profile();
const steps = tokenCounts.map((/** @type {number} */ tokens) =>
  summarize(
    tokens,
    runs.filter((run) => run.tokens === tokens),
  ),
);
console.log(table());
console.error(`wrote ${writeResult(`operators-${model}-${scheme}`, { model, scheme, repetitions, steps }, flags.quick)}`);

/** @returns {Promise<Run[]>} */
function profile() {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("lib/operator-worker.mjs", import.meta.url), {
      workerData: { model, scheme, tokenCounts, repetitions },
    });
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

/** @param {number} tokens @param {readonly Run[]} same */
function summarize(tokens, same) {
  const names = [...new Set(same.flatMap(({ operators }) => Object.keys(operators)))];
  const milliseconds = (/** @type {string} */ name) => round(median(same.map(({ operators }) => operators[name] ?? 0)), 3);
  const operators = Object.fromEntries(names.map((name) => [name, milliseconds(name)]));
  const products = names.filter((name) => MATRIX_PRODUCTS.test(name)).reduce((sum, name) => sum + operators[name], 0);
  return {
    tokens,
    ms: round(median(same.map(({ ms }) => ms)), 3),
    operators,
    pageFaults: median(same.map(({ pageFaults }) => pageFaults)),
    gops: Math.round(productOperations(spec, tokens) / products / 1e6),
  };
}

function table() {
  const names = [...new Set(steps.flatMap(({ operators }) => Object.keys(operators)))];
  const largest = (/** @type {string} */ name) => Math.max(...steps.map(({ operators, ms }) => (operators[name] ?? 0) / ms));
  const rows = names
    .sort((a, b) => largest(b) - largest(a))
    .map((name) => [name, ...steps.map(({ operators, ms }) => share(operators[name] ?? 0, ms))]);
  const inside = steps.map(({ operators }) => Object.values(operators).reduce((sum, value) => sum + value, 0));
  return [
    `${model}, ${scheme}: dense part of a step, ms (share), medians of ${repetitions} runs\n`,
    markdownTable(
      ["operator", ...steps.map(({ tokens }) => `${tokens} tokens`)],
      [
        ...rows,
        ["between operators", ...steps.map(({ ms }, i) => share(Math.max(0, ms - inside[i]), ms))],
        ["**all**", ...steps.map(({ ms }) => figure(ms, 2))],
        ["matrix products, GOP/s", ...steps.map(({ gops }) => gops)],
        ["page faults", ...steps.map(({ pageFaults }) => pageFaults)],
      ],
    ),
  ].join("\n");
}

/** @param {number} part @param {number} whole */
function share(part, whole) {
  return `${figure(part, 2)} (${((part / whole) * 100).toFixed(1)} %)`;
}

/**
 * Everything that bench/README.md lists, one part after the other, on a quiet machine.
 * `node bench/run-all.mjs [--minutes 22] [--quick] [--only throughput,memory]`
 * Builds first; nothing else should run meanwhile. Each part writes JSON into bench/results; all their markdown goes to
 * stdout and to bench/results/<date>-report.md, ready for bench/LOG.md. A part that fails does not stop the others.
 */
import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { readFlags } from "./lib/flags.mjs";
import { markdownTable } from "./lib/markdown.mjs";
import { today, writeText } from "./lib/results.mjs";

/** @typedef {{ name: string, title: string, file: string, args?: string[] }} Part */

const flags = readFlags("node bench/run-all.mjs: all benchmarks", {
  minutes: { kind: "count", about: "for the throughput part, which begins no round that would not fit", default: 22 },
  quick: { kind: "boolean", about: "one repetition of everything, to see whether it works" },
  python: { kind: "string", about: "with onnxruntime and onnx: also the attention kernel against its peer" },
  only: { kind: "string", about: "names of parts, comma-separated" },
});

/** @type {readonly Part[]} */
const PARTS = [
  { name: "throughput", title: "Throughput", file: "throughput.mjs", args: ["--minutes", String(flags.minutes)] },
  { name: "steps", title: "Where a step's time goes", file: "step-profile.mjs" },
  { name: "operators-int8", title: "Dense part by operator, int8", file: "operator-profile.mjs" },
  { name: "operators-int4", title: "Dense part by operator, int4", file: "operator-profile.mjs", args: ["--scheme", "int4-g128"] },
  { name: "memory", title: "Memory", file: "memory.mjs" },
  { name: "event-loop", title: "Event loop", file: "event-loop.mjs", args: ["--reuse"] },
  { name: "rows", title: "Row invariance", file: "row-invariance.mjs" },
  ...(flags.python ? [{ name: "attention", title: "Attention kernel", file: "attention.mjs", args: ["--python", flags.python] }] : []),
];
/** What takes no --quick. */
const ALWAYS_WHOLE = new Set(["memory", "attention"]);

const parts = PARTS.filter(({ name }) => !flags.only || flags.only.split(",").includes(name));
if (parts.length === 0) {
  console.error(`--only is ${flags.only}; it takes ${PARTS.map(({ name }) => name).join(", ")}`);
  process.exit(2);
}
build();
let report = "";
/** @type {[string, string, string][]} */
const times = [];
for (const part of parts) {
  const start = performance.now();
  console.error(`=== ${part.name}`);
  const { code, output } = await run(part);
  const text = `## ${part.title}\n\n${output.trimEnd()}\n\n`;
  process.stdout.write(text);
  report += text;
  times.push([part.name, `${((performance.now() - start) / 1000).toFixed(0)} s`, code === 0 ? "ok" : `failed (${code})`]);
}
report += `## Time\n\n${markdownTable(["part", "took", ""], times)}`;
process.stdout.write(`${markdownTable(["part", "took", ""], times)}\n`);
if (!flags.quick && !flags.only) console.error(`wrote ${writeText(`${today()}-report.md`, report)}`);
process.exitCode = times.every(([, , result]) => result === "ok") ? 0 : 1;

/** Every child runs what is built now. */
function build() {
  const script = fileURLToPath(new URL("../scripts/build.mjs", import.meta.url));
  if (spawnSync(process.execPath, [script], { stdio: ["ignore", 2, 2] }).status !== 0) throw new Error("the build failed");
}

/** @param {Part} part @returns {Promise<{ code: number | null, output: string }>} */
async function run({ name, file, args = [] }) {
  const quick = flags.quick && !ALWAYS_WHOLE.has(name) ? ["--quick"] : [];
  const child = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), ...args, ...quick], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk) => (output += chunk));
  const code = await new Promise((resolve) => child.on("close", resolve));
  return { code, output };
}

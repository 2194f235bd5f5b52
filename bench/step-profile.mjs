/**
 * Where a step's time goes, and whether what is neither matrix products nor attention stays below 5 % or 0.3 ms.
 * `node bench/step-profile.mjs [--cases llama-16] [--quick]`; each case in a fresh process.
 * Writes bench/results/<date>-step-profile.json and a markdown table.
 */
import { fileURLToPath } from "node:url";
import { readFlags } from "./lib/flags.mjs";
import { figure, markdownTable } from "./lib/markdown.mjs";
import { writeResult } from "./lib/results.mjs";
import { runChild } from "./lib/run-child.mjs";

const LIMIT_SHARE = 0.05;
const LIMIT_MS = 0.3;

/** @type {Record<string, import("./lib/engine-load.mjs").EngineLoad>} */
const CASES = {
  "llama-1-int4": { ...llama(1, 128), quantize: "int4-g128" },
  "llama-1": llama(1, 128),
  "llama-16": llama(16, 128),
  "llama-16-f32-kv": { ...llama(16, 128), kvDtype: "f32" },
  "llama-32": llama(32, 128),
  "llama-8x900": llama(8, 900),
  "qwen-16": { ...llama(16, 128), model: "qwen2.5-0.5b" },
};
const QUICK = ["llama-1-int4", "llama-16"];

const flags = readFlags("node bench/step-profile.mjs: where a step's time goes", {
  cases: { kind: "string", about: "some of the list, comma-separated; default: all", oneOf: Object.keys(CASES) },
  quick: { kind: "boolean", about: `only ${QUICK.join(" and ")}` },
});
const names = flags.cases ? flags.cases.split(",") : flags.quick ? QUICK : Object.keys(CASES);
const child = fileURLToPath(new URL("lib/step-child.mjs", import.meta.url));

/** @type {Record<string, any>} */
const cases = {};
for (const name of names) {
  const { result, ...run } = await runChild([child, JSON.stringify(CASES[name])]);
  cases[name] = { load: CASES[name], ...run, ...result };
  console.error(`${name} (${run.seconds} s${run.disturbed ? ", disturbed" : ""})`);
}
console.log(table());
console.error(`wrote ${writeResult("step-profile", { cases }, flags.quick)}`);

function table() {
  const parts = ["period", "dense", "attention", "sampling", "handover", "schedule", "process", "yield"];
  const rows = Object.entries(cases).flatMap(([name, { decode, prefill, disturbed }]) =>
    [
      ["decode", decode],
      ["prefill", prefill],
    ]
      .filter(([, profile]) => profile.steps > 0)
      .map(([kind, profile]) => [
        `${name} ${kind}${disturbed ? " (disturbed)" : ""}`,
        profile.tokens,
        ...parts.map((part) => figure(profile[part], part === "period" || part === "dense" ? 1 : 2)),
        verdict(profile),
      ]),
  );
  const note =
    "Medians per step, ms. Handover: to the runner's thread and back. Schedule: with input building. Yield: the caller's event loop.";
  return `${note}\n\n${markdownTable(["", "tokens", ...parts, `outside (<= ${LIMIT_SHARE * 100} % or ${LIMIT_MS} ms)`], rows)}`;
}

/** @param {{ outside: number, period: number }} profile */
function verdict({ outside, period }) {
  const met = outside <= LIMIT_SHARE * period || outside <= LIMIT_MS;
  return `${figure(outside, 2)} ms, ${((outside / period) * 100).toFixed(1)} %: ${met ? "met" : "not met"}`;
}

/** @param {number} streams @param {number} promptTokens */
function llama(streams, promptTokens) {
  return { model: "llama-1.1b", streams, promptTokens, maxTokens: 64, quantize: "int8", kvDtype: "int8" };
}

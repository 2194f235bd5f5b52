/**
 * Peak memory of a fresh process with a warm weight cache: 16 streams of 192 tokens on the 1.1 B shape.
 * `node bench/memory.mjs [--schemes int8,int4-g128]`. Asked: <= 1.3 x weight bytes + committed KV + 250 MB.
 * Linux only (/proc). Writes bench/results/<date>-memory.json and a markdown table.
 */
import { fileURLToPath } from "node:url";
import { readFlags } from "./lib/flags.mjs";
import { figure, markdownTable } from "./lib/markdown.mjs";
import { writeResult } from "./lib/results.mjs";
import { runChild } from "./lib/run-child.mjs";

const WEIGHTS_FACTOR = 1.3;
const FIXED_BYTES = 250e6;
const SCHEMES = ["int8", "int4-g128", "int4-g64", "int4-g32", "f32"];

const flags = readFlags("node bench/memory.mjs: peak memory of a fresh process", {
  schemes: { kind: "string", about: "comma-separated; f32 takes 4.4 GB", oneOf: SCHEMES, default: "int8,int4-g128" },
  "kv-dtype": { kind: "string", about: "int8 or f32", oneOf: ["int8", "f32"], default: "int8" },
  model: { kind: "string", about: "shape", oneOf: ["llama-1.1b", "qwen2.5-0.5b"], default: "llama-1.1b" },
});

/** @type {Record<string, any>} */
const schemes = {};
for (const quantize of flags.schemes.split(",")) schemes[quantize] = await measure(quantize);
console.log(table());
console.error(`wrote ${writeResult("memory", { model: flags.model, kvDtype: flags["kv-dtype"], schemes })}`);

/** @param {string} quantize */
async function measure(quantize) {
  const child = fileURLToPath(new URL("lib/memory-child.mjs", import.meta.url));
  const load = { model: flags.model, streams: 16, promptTokens: 128, maxTokens: 64, quantize, kvDtype: flags["kv-dtype"] };
  let { result } = await runChild([child, JSON.stringify(load)]);
  if (!result.warm) ({ result } = await runChild([child, JSON.stringify(load)]));
  if (!result.warm) throw new Error(`${quantize}: the weight cache was made anew in the second run too; is there room for it?`);
  const limit = WEIGHTS_FACTOR * result.weightBytes + result.kvCommittedBytes + FIXED_BYTES;
  return { ...result, limit, met: result.finished.peak <= limit };
}

function table() {
  const mb = (/** @type {number} */ bytes) => figure(bytes / 1e6);
  const rows = Object.entries(schemes).map(([name, { weightBytes, kvCommittedBytes, loaded, finished, limit, met }]) => [
    name,
    mb(loaded.peak),
    mb(finished.peak),
    mb(weightBytes),
    mb(kvCommittedBytes),
    mb(finished.peak - weightBytes - kvCommittedBytes),
    `${mb(finished.anonymous)} / ${mb(finished.files)} / ${mb(finished.shared)}`,
    `${mb(limit)}: ${met ? "met" : "not met"}`,
  ]);
  const head = ["MB", "peak after load", "peak", "weights", "KV committed", "rest", "end: own / file / shared", "limit"];
  return markdownTable(head, rows);
}

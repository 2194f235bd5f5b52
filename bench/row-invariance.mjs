/**
 * Which weight forms give a row the same bits in any batch: one-token prompts, M of them in one step, for many M.
 * The first and the last row hold the same token as a step of one row alone; are their logits bit-identical to it?
 * `node bench/row-invariance.mjs [--schemes int8,int4-g128] [--model llama-1.1b] [--layers 2]`, through the engine.
 * `strict` pads int4 to an even number of rows; without it each form shows its own nature.
 * Writes bench/results/<date>-row-invariance-<model>.json and a markdown table.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import { readFlags } from "./lib/flags.mjs";
import { markdownTable } from "./lib/markdown.mjs";
import { writeResult } from "./lib/results.mjs";

const ROWS = [...Array.from({ length: 33 }, (_, i) => i + 1), 64, 128, 255, 256, 257, 512];
const QUICK_ROWS = [1, 2, 3, 4, 5, 15, 16, 17, 255, 256];
const SCHEMES = ["f32", "int8", "int4-g32", "int4-g64", "int4-g128"];
const PROBE = 7; // any token

const flags = readFlags("node bench/row-invariance.mjs: does a row's result depend on the batch?", {
  schemes: { kind: "string", about: "comma-separated; default: all", oneOf: SCHEMES, default: SCHEMES.join(",") },
  model: { kind: "string", about: "shape", oneOf: ["llama-1.1b", "qwen2.5-0.5b"], default: "llama-1.1b" },
  layers: { kind: "count", about: "of the shape, from the first on", default: 2 },
  quick: { kind: "boolean", about: `only ${QUICK_ROWS.join(", ")} rows` },
});
const rowCounts = flags.quick ? QUICK_ROWS : ROWS;
// A cut model's weights are of no use to anybody else.
const cacheDir = mkdtempSync(join(tmpdir(), "weir-rows-"));
process.on("exit", () => rmSync(cacheDir, { recursive: true, force: true }));

/** @typedef {{ scheme: string, strict: boolean, rows: { rows: number, first: string, last: string }[] }} Sweep  hashes of logits */
/** @type {Sweep[]} */
const sweeps = [];
for (const scheme of flags.schemes.split(",")) {
  for (const strict of [true, false]) {
    sweeps.push({ scheme, strict, rows: await sweep(scheme, strict) });
    console.error(`${scheme}, ${strict ? "strict" : "not strict"}: ${describe(sweeps[sweeps.length - 1])}`);
  }
}
console.log(`${flags.model}, ${flags.layers} layers, 1 to ${rowCounts.at(-1)} rows in a step (${rowCounts.length} sizes)\n`);
console.log(markdownTable(["weights", "strict", "without padding"], flags.schemes.split(",").map(tableRow)));
console.error(`wrote ${writeResult(`row-invariance-${flags.model}`, { layers: flags.layers, sweeps: sweeps.map(shorten) }, flags.quick)}`);

/** @param {string} scheme @param {boolean} strict */
async function sweep(scheme, strict) {
  const model = await openModelFolder(`random:${flags.model}`);
  const most = Math.max(...rowCounts);
  const engine = await createEngine({
    model: { ...model, spec: { ...model.spec, layers: model.spec.layers.slice(0, flags.layers) } },
    backend: cpuBackend({ cacheDir }),
    quantize: /** @type {any} */ (scheme),
    strict,
    maxNumSeqs: most,
    maxNumBatchedTokens: most,
    maxModelLen: 16,
    numBlocks: 2 * most, // the scheduler keeps a part of the pool free
  });
  /** @type {number[]} */
  const batched = [];
  engine.events$.subscribe((event) => event.type === "step-end" && batched.push(event.stats.numBatchedTokens));
  const rows = [];
  for (const count of rowCounts) {
    batched.length = 0;
    const hashes = await oneStep(engine, count);
    if (batched[0] !== count) throw new Error(`${count} prompts of one token were to share a step; it had ${batched[0]}`);
    rows.push({ rows: count, ...hashes });
  }
  await engine.dispose();
  await model.weights.close();
  return rows;
}

/** @param {import("@weir/core").LLMEngine} engine @param {number} count */
async function oneStep(engine, count) {
  const hashes = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const probe = i === 0 || i === count - 1;
      const token = probe ? PROBE : (i * 7919) % engine.info.vocabSize;
      let hash = "";
      for await (const event of engine.generate(Int32Array.of(token), { maxTokens: 1, ignoreEos: true, fullLogits: probe })) {
        if (event.type === "token" && event.logits) hash = hashOf(event.logits);
      }
      return hash;
    }),
  );
  return { first: hashes[0], last: hashes[count - 1] };
}

/** @param {Float32Array} logits  [vocabSize] */
function hashOf(logits) {
  return createHash("sha256")
    .update(new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength))
    .digest("hex")
    .slice(0, 12);
}

/** @param {string} scheme */
function tableRow(scheme) {
  const of = (/** @type {boolean} */ strict) => sweeps.find((one) => one.scheme === scheme && one.strict === strict);
  return [scheme, ...[true, false].map((strict) => describe(/** @type {Sweep} */ (of(strict))))];
}

/** @param {Sweep} one */
function describe({ rows }) {
  const alone = rows[0].first;
  const differing = (/** @type {"first" | "last"} */ which) => rows.filter((row) => row[which] !== alone).map((row) => row.rows);
  const [first, last] = [differing("first"), differing("last")];
  if (first.length === 0 && last.length === 0) return "same bits for all";
  const list = (/** @type {number[]} */ counts) => (counts.length === 0 ? "none" : ranges(counts));
  return `other bits than alone: first row at ${list(first)}; last row at ${list(last)}`;
}

/** Neighbours in the sweep joined: "2-33, 64". @param {number[]} counts */
function ranges(counts) {
  const parity = counts.length > 2 && counts.every((count) => count % 2 === counts[0] % 2);
  if (parity) return `${counts[0] % 2 === 0 ? "even" : "odd"} ${counts[0]}-${counts.at(-1)}`;
  /** @type {[number, number][]} */
  const spans = [];
  for (const count of counts) {
    const span = spans.at(-1);
    if (span && rowCounts.indexOf(count) === rowCounts.indexOf(span[1]) + 1) span[1] = count;
    else spans.push([count, count]);
  }
  return spans.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(", ");
}

/** Hashes by name, as few as there are: a file to be committed. @param {Sweep} one */
function shorten({ scheme, strict, rows }) {
  const names = [...new Set(rows.flatMap(({ first, last }) => [first, last]))];
  const letter = (/** @type {string} */ hash) => String.fromCharCode(65 + names.indexOf(hash));
  return { scheme, strict, variants: names.length, rows: rows.map((row) => [row.rows, letter(row.first), letter(row.last)].join(" ")) };
}

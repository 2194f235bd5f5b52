/**
 * The CPU attention kernel alone against a peer: 32/8 heads of size 64, decode and prefill, f32 and int8 caches, one layer
 * after the other over distinct caches, interleaved with the peer. Prints a table; medians of `--runs` (default 9) passes.
 * `node bench/attention.mjs [--python PATH] [--threads 1,2] [--cases d1000,p900]` after `pnpm build`; the peer needs a Python with onnxruntime and onnx
 */
import { parseArgs } from "node:util";
import { wasmAttention } from "@weir/backend-cpu";
import { createModelInput } from "@weir/core";
import { gqaPeer } from "./attention-gqa.mjs";

/** @typedef {import("./attention-gqa.mjs").AttentionCase} AttentionCase */
/** @typedef {import("@weir/core").CpuAttention} CpuAttention */
/** @typedef {import("@weir/core").ModelInput} ModelInput */
/** @typedef {import("@weir/core").ModelLimits} ModelLimits */

const HEADS = { numHeads: 32, numKvHeads: 8, headDim: 64 };
const BLOCK_SIZE = 16;
const CASES = {
  d1000: { seqs: 16, past: 999, newTokens: 1, layers: 16 },
  d200: { seqs: 16, past: 199, newTokens: 1, layers: 16 },
  p900: { seqs: 1, past: 0, newTokens: 900, layers: 4 },
  p8x900: { seqs: 8, past: 0, newTokens: 900, layers: 2 },
  p16x128: { seqs: 16, past: 0, newTokens: 128, layers: 4 },
};

const { values } = parseArgs({
  options: {
    python: { type: "string" },
    threads: { type: "string", default: "1,2" },
    cases: { type: "string", default: Object.keys(CASES).join(",") },
    runs: { type: "string", default: "9" },
  },
});

const peer = values.python === undefined ? undefined : gqaPeer(values.python);
console.log("| case | KV | threads | ours ms/layer | Gop/s | KV GB/s | peer ms/layer | ratio |\n|---|---|---|---|---|---|---|---|");
for (const name of values.cases.split(",")) {
  for (const kvDtype of ["f32", "int8"]) {
    for (const threads of values.threads.split(",").map(Number)) {
      await compare(name, { ...CASES[name], ...HEADS, kvDtype, threads }, Number(values.runs));
    }
  }
}
await peer?.dispose();

/**
 * @param {string} name
 * @param {AttentionCase} shape
 * @param {number} runs
 */
async function compare(name, shape, runs) {
  const { kernel, input } = await prepare(shape);
  await peer?.prepare(shape);
  const ours = [];
  const theirs = [];
  for (let i = 0; i < runs + 2; i++) {
    // The peer's threads spin for a while after its pass. Busy, as the runner is between layers: after an idle wait
    // the system wakes the helper on the caller's core, and the pass measures its load balancer.
    if (peer) stayBusy(30);
    ours.push(pass(kernel, input, shape.layers));
    if (peer) theirs.push(await peer.measure());
  }
  await kernel.dispose();
  console.log(`| ${name} | ${shape.kvDtype} | ${shape.threads} | ${row(shape, ours, theirs)} |`);
}

/**
 * The first two passes warm up.
 * @param {AttentionCase} shape
 * @param {readonly number[]} ours
 * @param {readonly number[]} theirs
 */
function row({ seqs, past, newTokens, kvDtype }, ours, theirs) {
  const ms = median(ours.slice(2));
  const pairs = newTokens * past + (newTokens * (newTokens + 1)) / 2;
  const operations = seqs * pairs * HEADS.numHeads * HEADS.headDim * 4;
  const bytes = seqs * (past + newTokens) * HEADS.numKvHeads * HEADS.headDim * 2 * (kvDtype === "f32" ? 4 : 1);
  const mine = `${ms.toFixed(3)} | ${(operations / ms / 1e6).toFixed(1)} | ${(bytes / ms / 1e6).toFixed(1)}`;
  if (theirs.length === 0) return `${mine} | - | -`;
  const other = median(theirs.slice(2));
  return `${mine} | ${other.toFixed(3)} | ${(other / ms).toFixed(2)}`;
}

/** @param {number} ms */
function stayBusy(ms) {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/**
 * @param {CpuAttention} kernel
 * @param {ModelInput} input
 * @param {number} layers
 */
function pass(kernel, input, layers) {
  kernel.begin(input);
  const start = performance.now();
  for (let layer = 0; layer < layers; layer++) kernel.run(layer);
  return (performance.now() - start) / layers;
}

/**
 * A kernel whose whole cache holds values, and a step whose blocks are scattered over it.
 * @param {AttentionCase} shape
 * @returns {Promise<{ kernel: CpuAttention, input: ModelInput }>}
 */
async function prepare(shape) {
  const { seqs, past, newTokens, headDim } = shape;
  const maxModelLen = Math.ceil((past + newTokens) / BLOCK_SIZE) * BLOCK_SIZE;
  const numBlocks = (seqs * maxModelLen) / BLOCK_SIZE;
  const limits = { maxModelLen, maxNumSeqs: seqs, maxNumBatchedTokens: seqs * newTokens, blockSize: BLOCK_SIZE, numBlocks };
  const layer = { ...HEADS, vHeadDim: headDim, scale: headDim ** -0.5, window: 0, softcap: 0, rope: -1 };
  const { createCpuAttention } = await import(wasmAttention.module);
  const layers = Array.from({ length: shape.layers }, () => layer);
  const kernel = await createCpuAttention({ layers, ropes: [], limits, kvDtype: shape.kvDtype, threads: shape.threads, strict: true });
  layers.forEach((_, index) => kernel.qkv(index).forEach((_x, i, rows) => (rows[i] = Math.random() * 2 - 1)));
  fillCache(kernel, limits, layers.length);
  return { kernel, input: stepOf(shape, limits) };
}

/**
 * Stores one block token by token and copies it to all others.
 * @param {CpuAttention} kernel
 * @param {ModelLimits} limits
 * @param {number} layers
 */
function fillCache(kernel, limits, layers) {
  const input = createModelInput(limits);
  input.numTokens = 1;
  input.numSeqs = 1;
  input.cuSeqlensQ[1] = 1;
  for (let token = 0; token < BLOCK_SIZE; token++) {
    input.pastLens[0] = token;
    input.positions[0] = token;
    input.slotMapping[0] = token;
    kernel.begin(input);
    for (let layer = 0; layer < layers; layer++) kernel.run(layer);
  }
  const block = new Uint8Array(kernel.blockBytes);
  kernel.readBlock(0, block);
  for (let i = 1; i < limits.numBlocks; i++) kernel.writeBlock(i, block);
}

/**
 * @param {AttentionCase} shape
 * @param {ModelLimits} limits
 * @returns {ModelInput}
 */
function stepOf({ seqs, past, newTokens }, limits) {
  const input = createModelInput(limits);
  const blocks = Array.from({ length: limits.numBlocks }, (_, i) => i).sort(() => Math.random() - 0.5);
  input.numSeqs = seqs;
  for (let seq = 0; seq < seqs; seq++) {
    const own = blocks.slice(seq * input.maxBlocksPerSeq, (seq + 1) * input.maxBlocksPerSeq);
    input.blockTables.set(own, seq * input.maxBlocksPerSeq);
    input.pastLens[seq] = past;
    for (let position = past; position < past + newTokens; position++) {
      input.positions[input.numTokens] = position;
      input.slotMapping[input.numTokens++] = own[Math.floor(position / BLOCK_SIZE)] * BLOCK_SIZE + (position % BLOCK_SIZE);
    }
    input.cuSeqlensQ[seq + 1] = input.numTokens;
  }
  return input;
}

/**
 * @param {readonly number[]} values
 */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

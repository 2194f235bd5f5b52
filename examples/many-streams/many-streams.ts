/** 64 conversations in one batch: every step decodes them all, newcomers join while others run. */
import { setTimeout as sleep } from "node:timers/promises";
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine } from "@weir/core";

const STREAMS = 64;
const NAMES = ["ROMEO", "JULIET", "MENENIUS", "GLOUCESTER"];

await using engine = await createEngine({
  model: "packages/cli/model/tiny-shakespeare",
  backend: cpuBackend(),
  quantize: "auto",
  maxNumSeqs: STREAMS,
});

let mostRunning = 0;
let mostTokens = 0;
const watching = engine.events$.subscribe((event) => {
  if (event.type !== "step-end") return;
  mostRunning = Math.max(mostRunning, event.stats.numRunning);
  mostTokens = Math.max(mostTokens, event.stats.numBatchedTokens);
});

const start = performance.now();
const texts = await Promise.all(
  Array.from({ length: STREAMS }, async (_, i) => {
    await sleep(i * 2); // They do not arrive all at once.
    return engine.generate(`${NAMES[i % 4]}:\n`, { maxTokens: 40 + i, temperature: 0.8, seed: i, ignoreEos: true }).text();
  }),
);
const seconds = (performance.now() - start) / 1000;
watching.unsubscribe();

for (const i of [0, 1, 2]) console.log(`${NAMES[i]}: ${JSON.stringify(texts[i]!.slice(0, 60))}…`);
const { requests, steps, sampledTokens, scheduler, blocks, memory } = engine.stats();
console.table({
  requests: requests.finished,
  steps,
  "tokens out": sampledTokens,
  "tokens per second": Math.round(sampledTokens / seconds),
  "most streams in a step": mostRunning,
  "most tokens in a step": mostTokens,
  preemptions: scheduler.numPreemptions,
  "KV blocks free again": `${blocks.numFreeBlocks} of ${blocks.numBlocks}`,
  "KV memory touched": `${(memory.kvCommittedBytes / 2 ** 20).toFixed(1)} of ${(memory.kvReservedBytes / 2 ** 20).toFixed(0)} MiB`,
});

/**
 * What a step costs in the scheduler and block manager, without a model: 256 decodes running, 10,000 requests
 * waiting. Prints microseconds per schedule() + update() for each scheduler over each block manager, and per
 * add() and abort() of a waiting request. Each figure is the median of BATCHES means.
 */
import {
  ContiguousBlockManager,
  EngineSequence,
  FcfsScheduler,
  PagedBlockManager,
  PriorityScheduler,
  StaticBatchScheduler,
} from "@weir/core";
const NUM_RUNNING = 256;
const NUM_WAITING = 1e4;
const PROMPT_TOKENS = 8;
const MAX_TOKENS = 4096;
const BLOCK_SIZE = 16;
const BATCHES = 15;
const STEPS_PER_BATCH = 200;
const CONFIG = {
  maxNumSeqs: NUM_RUNNING,
  maxNumBatchedTokens: 4096,
  maxPrefillChunk: 512,
};
const finished = [];
let nextId = 0;
for (const Scheduler of [FcfsScheduler, PriorityScheduler, StaticBatchScheduler]) {
  for (const Blocks of [PagedBlockManager, ContiguousBlockManager]) {
    const numBlocks = Math.ceil((NUM_RUNNING * MAX_TOKENS) / BLOCK_SIZE);
    const blocks = new Blocks({ numBlocks, blockSize: BLOCK_SIZE });
    report(`${Scheduler.name} over ${Blocks.name}`, new Scheduler(blocks, CONFIG), blocks);
  }
}

function report(name, scheduler, blocks) {
  const all = Array.from({ length: NUM_RUNNING + NUM_WAITING }, makeSequence);
  for (const seq of all) scheduler.add(seq);
  while (scheduler.stats().numRunning < NUM_RUNNING) step(scheduler);
  const perStep = median(() => {
    for (let i = 0; i < STEPS_PER_BATCH; i++) step(scheduler);
    return STEPS_PER_BATCH;
  });
  const victims = all.filter((seq, i) => seq.status === "waiting" && i % 5 === 0);
  const perAbort = median(() => {
    for (let i = 0; i < 100; i++) scheduler.abort(victims.pop());
    return 100;
  });
  const added = Array.from({ length: BATCHES * 100 }, makeSequence);
  const perAdd = median(() => {
    for (let i = 0; i < 100; i++) scheduler.add(added.pop());
    return 100;
  });
  const { numRunning, numWaiting } = scheduler.stats();
  blocks.checkIntegrity(scheduler.sequences());
  console.log(
    `${name.padEnd(48)} step ${perStep.toFixed(1).padStart(6)} us   abort ${perAbort.toFixed(2)} us   add ${perAdd.toFixed(2)} us   (${numRunning} running, ${numWaiting} waiting)`,
  );
}

function step(scheduler) {
  const output = scheduler.schedule();
  finished.length = output.sequences.length;
  for (let i = 0; i < output.sequences.length; i++) {
    const seq = output.sequences[i];
    if (seq.numTokens === seq.numComputedTokens + output.numScheduledTokens[i]) seq.append(i);
    finished[i] = seq.numTokens === seq.maxTokens ? "length" : void 0;
  }
  scheduler.update({ scheduled: output, finished });
}

function makeSequence() {
  const seqId = nextId++;
  const maxTokens = PROMPT_TOKENS + 16 * (1 + ((seqId * 37) % ((MAX_TOKENS - PROMPT_TOKENS) / 16)));
  return new EngineSequence({
    seqId,
    promptTokenIds: new Int32Array(PROMPT_TOKENS),
    maxTokens,
    priority: seqId % 3,
  });
}

function median(run) {
  const means = [];
  for (let i = 0; i < BATCHES; i++) {
    const start = performance.now();
    const count = run();
    means.push(((performance.now() - start) * 1e3) / count);
  }
  return means.sort((a, b) => a - b)[BATCHES >> 1];
}

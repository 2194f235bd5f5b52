import { describe, expect, it } from "vitest";
import type { BlockManager, SchedulerConfig, SchedulerOutput, Sequence } from "../contracts/index.js";
import { EngineSequence } from "../engine/sequence.js";
import { InternalError, InvalidOptionsError, OutOfBlocksError } from "../errors/index.js";
import { PagedBlockManager } from "../kv/index.js";
import { BatchingModel, soloOutput } from "../testing/block-manager-model.js";
import { FcfsScheduler } from "./fcfs-scheduler.js";

const CONFIG: SchedulerConfig = { maxNumSeqs: 8, maxNumBatchedTokens: 32, maxPrefillChunk: 16 };

function setup(numBlocks: number, blockSize = 4, config: Partial<SchedulerConfig> = {}): BatchingModel {
  return new BatchingModel({
    createBlockManager: (pool) => new PagedBlockManager(pool),
    createScheduler: (blocks, schedulerConfig) => new FcfsScheduler(blocks, schedulerConfig),
    numBlocks,
    blockSize,
    config: { ...CONFIG, ...config },
  });
}

function scheduled(output: SchedulerOutput): [number, number][] {
  return output.sequences.map((seq, i) => [seq.seqId, output.numScheduledTokens[i]!]);
}

/** Runs the scheduler alone: the step's tokens are taken as computed, a token 0 appended where one was sampled. */
function advance(scheduler: FcfsScheduler, output: SchedulerOutput): void {
  for (const [i, seq] of output.sequences.entries()) {
    const caughtUp = seq.numTokens === seq.numComputedTokens + output.numScheduledTokens[i]!;
    if (caughtUp) (seq as EngineSequence).append(0);
  }
  scheduler.update({ scheduled: output, finished: output.sequences.map(() => undefined) });
}

describe("FcfsScheduler", () => {
  it("puts decodes first, then running prefill, then newcomers in order of arrival, within the budget", () => {
    const model = setup(100);
    model.add(3, 50);
    model.add(20, 50);
    expect(scheduled(model.scheduler.schedule())).toEqual([
      [0, 3],
      [1, 16],
    ]);
    const other = setup(100);
    other.add(3, 50);
    other.add(20, 50);
    other.step();
    other.add(16, 50);
    other.add(16, 50);
    const output = other.scheduler.schedule();
    expect(scheduled(output)).toEqual([
      [0, 1],
      [1, 4],
      [2, 16],
      [3, 11],
    ]);
    expect(output.admitted.map((seq) => seq.seqId)).toEqual([2, 3]);
    expect(output.numBatchedTokens).toBe(32);
  });

  it("never runs more than maxNumSeqs at once and takes the next as soon as one ends", () => {
    const model = setup(100, 4, { maxNumSeqs: 2 });
    for (const maxNew of [1, 3, 2]) model.add(2, maxNew);
    model.step();
    expect(model.scheduler.stats()).toMatchObject({ numRunning: 1, numWaiting: 1 });
    model.step();
    expect(model.scheduler.stats()).toMatchObject({ numRunning: 2, numWaiting: 0 });
  });

  it("preempts who arrived last, to the front of the queue, and resumes it with the same output", () => {
    const model = setup(6, 2, { maxPrefillChunk: 32 });
    const first = model.add(3, 9)!;
    const second = model.add(3, 9)!;
    const third = model.add(3, 9)!;
    const preempted: number[] = [];
    const schedule = model.scheduler.schedule.bind(model.scheduler);
    model.scheduler.schedule = () => {
      const output = schedule();
      preempted.push(...output.preempted.map((seq) => seq.seqId));
      return output;
    };
    model.drain(200);
    expect(preempted).toContain(1);
    expect(preempted).not.toContain(0);
    expect([...model.ended.keys()]).toEqual([first, second, third]);
    for (const seq of [first, second, third]) expect([...seq.outputTokenIds]).toEqual(soloOutput(seq));
    expect(model.scheduler.stats().numPreemptions).toBe(preempted.length);
  });

  it("refuses a request larger than the pool, up front, with what to change", () => {
    const model = setup(4);
    const seq = new EngineSequence({ seqId: 9, promptTokenIds: [1], maxTokens: 17 });
    expect(() => model.scheduler.add(seq)).toThrow(OutOfBlocksError);
    expect(() => model.scheduler.add(seq)).toThrow(/may reach 17 tokens and the KV cache holds 16; lower its maxTokens/);
    expect(model.scheduler.hasUnfinished()).toBe(false);
  });

  it("finishes requests as large as the pool, one after the other", () => {
    const model = setup(4);
    for (let i = 0; i < 5; i++) model.add(6, 10);
    model.drain(80);
    expect(model.ended.size).toBe(5);
  });

  it("survives a preempt storm: all decode at once in a pool for a quarter of them", () => {
    const model = setup(64, 4, { maxNumSeqs: 64, maxNumBatchedTokens: 256, maxPrefillChunk: 64 });
    const seqs = Array.from({ length: 64 }, () => model.add(4, 40)!);
    const numSteps = model.drain(2000);
    for (const seq of seqs) expect([...seq.outputTokenIds]).toEqual(soloOutput(seq));
    expect(model.scheduler.stats().numPreemptions).toBeGreaterThan(64);
    // 64 sequences x 40 steps x 24 tokens held on average, in 256 slots: 240 steps if nothing were computed twice.
    expect(numSteps).toBeLessThan(300);
  });

  it("preempts nobody more than log2(pool) + 1 times, however often the batch around it changes", () => {
    const model = setup(199, 1, { maxNumSeqs: 128, maxNumBatchedTokens: 512, maxPrefillChunk: 256 });
    // Ends are staggered, so that room for one more keeps appearing while the others still grow.
    const seqs = Array.from({ length: 128 }, (_, i) => model.add(1, 10 + i)!);
    model.drain(5000);
    expect(Math.max(...seqs.map((seq) => seq.numPreemptions))).toBeLessThanOrEqual(Math.log2(199) + 1);
  });

  it("does not let prefill wait for decodes: P tokens end within P / (budget / 8) steps", () => {
    const model = setup(2000, 4, { maxNumSeqs: 17, maxNumBatchedTokens: 16, maxPrefillChunk: 16 });
    for (let i = 0; i < 15; i++) model.add(1, 200);
    model.step();
    const long = model.add(100, 1)!;
    let numSteps = 0;
    for (; !model.ended.has(long); numSteps++) model.step();
    expect(numSteps).toBeLessThanOrEqual(100 / 2);
  });

  it("does not let decodes wait for prefill: a chunk leaves room for every one of them", () => {
    const model = setup(1000, 4, { maxNumBatchedTokens: 16, maxPrefillChunk: 16 });
    const decode = model.add(1, 50)!;
    model.step();
    for (let i = 0; i < 5; i++) model.add(500, 1);
    for (let i = 1; i <= 20; i++) {
      model.step();
      expect(decode.numOutputTokens).toBe(i + 1);
    }
  });

  it("schedules no paused sequence, keeps its blocks, and preempts it first when blocks are short", () => {
    const model = setup(6, 2);
    const paused = model.add(3, 9)!;
    model.step();
    paused.paused = true;
    const active = model.add(3, 7)!;
    model.step();
    model.step();
    expect([paused.numOutputTokens, paused.numBlocks]).toEqual([1, 2]);
    while (!model.ended.has(active)) model.step();
    expect([active.numPreemptions, paused.numPreemptions, paused.numBlocks]).toEqual([0, 1, 0]);
    expect(model.step()).toBe(0);
    expect(model.scheduler.hasUnfinished()).toBe(true);
    model.drain(30);
    expect([...paused.outputTokenIds]).toEqual(soloOutput(paused));
  });

  it("lets waiting requests have the blocks of paused ones, so that nobody waits for a slow consumer", () => {
    const model = setup(4, 2);
    const paused = model.add(5, 3)!;
    model.step();
    paused.paused = true;
    const waiting = model.add(5, 3)!;
    model.step();
    expect([paused.status, waiting.status]).toEqual(["preempted", "running"]);
  });

  it("keeps a watermark free when it admits, unless nothing runs", () => {
    const model = setup(6, 2, { maxPrefillChunk: 32 });
    model.add(4, 2);
    model.add(7, 2);
    model.step();
    expect(model.scheduler.stats()).toMatchObject({ numRunning: 1, numWaiting: 1 });
    const alone = setup(6, 2);
    alone.add(12, 0);
    expect(scheduled(alone.scheduler.schedule())).toEqual([[0, 12]]);
  });

  it("counts prefill under way against newcomers, so that two long prompts do not preempt each other", () => {
    const model = setup(20, 4, { maxNumBatchedTokens: 8, maxPrefillChunk: 4 });
    for (let i = 0; i < 3; i++) model.add(40, 4);
    model.drain(200);
    expect(model.scheduler.stats().numPreemptions).toBe(0);
  });

  it("takes a fork with its blocks into the batch, even beyond maxNumSeqs", () => {
    const model = setup(40, 4, { maxNumSeqs: 1 });
    const parent = model.add(6, 20)!;
    model.step();
    const child = model.fork(parent, 20)!;
    expect(child.numBlocks).toBe(2);
    for (let i = 0; i < 4; i++) expect(model.step()).toBe(1);
    expect([parent.numOutputTokens, child.numOutputTokens]).toEqual([1 + 2, 2]);
    expect(model.blocks.stats().numSharedBlocks).toBe(1);
  });

  it("runs the last token of a fork that arrives with all of them computed, because logits come from running one", () => {
    const blocks = new PagedBlockManager({ numBlocks: 8, blockSize: 4 });
    const scheduler = new FcfsScheduler(blocks, CONFIG);
    const seq = new EngineSequence({ seqId: 0, promptTokenIds: [1, 2, 3, 4], maxTokens: 9 });
    blocks.allocate(seq, 4);
    seq.numComputedTokens = 4;
    scheduler.add(seq);
    expect(scheduled(scheduler.schedule())).toEqual([[0, 1]]);
    expect(seq.numComputedTokens).toBe(3);
  });

  it("starts behind what the block manager found in a prefix cache", () => {
    const blocks: BlockManager = new PagedBlockManager({ numBlocks: 8, blockSize: 4 });
    const allocate = blocks.allocate.bind(blocks);
    blocks.allocate = (seq: Sequence, numTokens: number) => ({
      ...allocate(seq, numTokens),
      cachedTokens: 4,
    });
    const scheduler = new FcfsScheduler(blocks, { ...CONFIG, maxPrefillChunk: 6 });
    const seq = new EngineSequence({ seqId: 0, promptTokenIds: new Int32Array(14), maxTokens: 20 });
    scheduler.add(seq);
    const output = scheduler.schedule();
    expect(scheduled(output)).toEqual([[0, 6]]);
    expect([seq.numComputedTokens, seq.numBlocks]).toEqual([4, 3]);
    advance(scheduler, output);
    expect(seq.numComputedTokens).toBe(10);
  });

  it("forgets an aborted sequence wherever it is, frees its blocks, and does nothing for a stranger", () => {
    const model = setup(100, 4, { maxNumSeqs: 1 });
    const running = model.add(6, 9)!;
    const waiting = model.add(6, 9)!;
    model.step();
    const free = model.blocks.stats().numFreeBlocks;
    model.abort(waiting);
    model.abort(running);
    expect(model.blocks.stats().numFreeBlocks).toBe(free + 2);
    expect(model.scheduler.hasUnfinished()).toBe(false);
    model.scheduler.abort(running);
    model.scheduler.abort(new EngineSequence({ seqId: 77, promptTokenIds: [1], maxTokens: 2 }));
    model.check();
  });

  it("leaves a sequence aborted while its step runs alone when the step's result comes", () => {
    const model = setup(100);
    const seq = model.add(6, 9)!;
    const output = model.scheduler.schedule();
    model.scheduler.abort(seq);
    model.scheduler.update({ scheduled: output, finished: [undefined] });
    expect([seq.status, seq.numComputedTokens, seq.numBlocks]).toEqual(["finished", 0, 0]);
  });

  it("sends everybody back in order of arrival when the KV cache was lost, and replays them", () => {
    const model = setup(100);
    const seqs = [model.add(6, 9)!, model.add(3, 9)!];
    model.step();
    model.step();
    model.reset();
    expect(model.scheduler.stats()).toMatchObject({
      numRunning: 0,
      numWaiting: 2,
      numPreemptions: 0,
    });
    expect(scheduled(model.scheduler.schedule())).toEqual([
      [0, 8],
      [1, 5],
    ]);
    model.reset();
    model.drain(40);
    for (const seq of seqs) expect([...seq.outputTokenIds]).toEqual(soloOutput(seq));
  });

  it("refuses wrong limits, and the same sequence twice", () => {
    expect(() => setup(4, 4, { maxNumSeqs: 0 })).toThrow(InvalidOptionsError);
    const model = setup(4);
    const seq = model.add(2, 2)!;
    expect(() => model.scheduler.add(seq)).toThrow(InternalError);
    model.step();
    expect(() => model.scheduler.add(seq)).toThrow(/added twice/);
  });

  it("says so when a block manager breaks its word that a sequence fits", () => {
    const blocks: BlockManager = new PagedBlockManager({ numBlocks: 8, blockSize: 4 });
    const scheduler = new FcfsScheduler(blocks, CONFIG);
    scheduler.add(new EngineSequence({ seqId: 0, promptTokenIds: [1], maxTokens: 9 }));
    advance(scheduler, scheduler.schedule());
    blocks.append = () => false;
    expect(() => scheduler.schedule()).toThrow(/sequence 0 is alone and gets no blocks for 1 tokens/);
  });

  it("hands out the same arrays step after step", () => {
    const model = setup(100);
    for (let i = 0; i < 4; i++) model.add(3, 30);
    const output = model.scheduler.schedule();
    advance(model.scheduler as FcfsScheduler, output);
    const { sequences, numScheduledTokens, copies } = output;
    const next = model.scheduler.schedule();
    expect([next.sequences === sequences, next.numScheduledTokens === numScheduledTokens, next.copies === copies]).toEqual([
      true,
      true,
      true,
    ]);
  });
});

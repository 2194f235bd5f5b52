/**
 * The one-batch check, small in the quick tests and whole in the deep ones: random streams share an engine; each gives
 * the tokens of its solo run, every block comes back, events add up, and KV memory follows the live tokens.
 */
import { ContiguousBlockManager, type EngineOptions, type LLMEngine } from "@weir/core";
import { expect } from "vitest";
import { assertIdle, cpuEngine, greedyIds } from "./cpu-test-engine.js";
import { KvWatch, type KvPeak } from "./kv-watch.js";
import { seededRandom } from "./seeded-random.js";
import { EventLedger, planStreams, runStreams, type StreamResult } from "./stream-load.js";

export interface OneBatchOptions extends Pick<EngineOptions, "quantize" | "kvDtype"> {
  readonly seed: number;
  readonly count: number;
  readonly maxLength: number;
  readonly arrivals: number;
}

export interface OneBatchFigures {
  readonly finished: number;
  readonly cancelled: number;
  readonly committedBytes: number;
  /** Live tokens at the peak times bytes per token. */
  readonly liveBytes: number;
  /** committedBytes over liveBytes. */
  readonly overhead: number;
  /** What whole reservations hold at their peak, over what paging holds. */
  readonly contiguousOverPaged: number;
}

export async function checkOneBatch(options: OneBatchOptions): Promise<OneBatchFigures> {
  const { seed, count, maxLength, arrivals } = options;
  const plans = planStreams(seededRandom(seed), { count, maxLength, arrivals, vocabSize: 2048, cancels: 0.25 });
  const ledger = new EventLedger();
  const watch = new KvWatch();
  const engine = await cpuEngine({ ...engineOptions(options), observers: [ledger], scheduler: watch.scheduler });
  try {
    const results = await runStreams(engine, plans);
    await engine.drain();
    assertIdle(engine);
    expectAccounts(engine, ledger, results);
    const figures = expectLittleWaste(engine, watch.peak);
    await expectSoloTokens(engine, results);
    const contiguous = await contiguousPeak(options, plans);
    const ends = results.filter(({ end }) => end === "finished").length;
    return { finished: ends, cancelled: count - ends, ...figures, contiguousOverPaged: contiguous.usedBlocks / watch.peak.usedBlocks };
  } finally {
    await engine.dispose();
  }
}

function engineOptions({ quantize, kvDtype }: OneBatchOptions): Partial<EngineOptions> {
  return { maxNumBatchedTokens: 256, ...(quantize ? { quantize } : {}), ...(kvDtype ? { kvDtype } : {}) };
}

/** One at a time, in blocks that others have used. */
async function expectSoloTokens(engine: LLMEngine, results: readonly StreamResult[]): Promise<void> {
  for (const { plan, ids, end } of results) {
    if (end === "finished") expect(ids.length, plan.requestId).toBe(plan.maxTokens);
    expect(ids, `${plan.requestId}, ${end}`).toEqual(
      await greedyIds(engine, plan.prompt, Math.max(1, ids.length)).then((solo) => solo.slice(0, ids.length)),
    );
  }
}

function expectAccounts(engine: LLMEngine, ledger: EventLedger, results: readonly StreamResult[]): void {
  const { requests, steps, computedTokens, sampledTokens } = engine.stats();
  expect(ledger.doubleEnds).toEqual([]);
  expect(requests).toMatchObject({ started: results.length, failed: 0, refused: 0, live: 0 });
  expect(requests.finished + requests.aborted).toBe(results.length);
  expect(ledger).toMatchObject({ steps, batchedTokens: computedTokens });
  for (const { plan, ids, end, counted } of results) {
    expect(ledger.queued.get(plan.requestId)).toBe(plan.prompt.length);
    expect(ledger.ended.get(plan.requestId)).toBe("request-end");
    if (end === "finished")
      expect([counted, ledger.completionTokens.get(plan.requestId)], plan.requestId).toEqual([ids.length, ids.length]);
    else expect(ledger.completionTokens.get(plan.requestId)).toBeGreaterThanOrEqual(ids.length);
  }
  const counted = [...ledger.completionTokens.values()].reduce((sum, tokens) => sum + tokens, 0);
  expect(sampledTokens).toBe(counted);
  // Rows of streams that were cancelled while they ran are computed and dropped.
  expect(ledger.rows).toBeGreaterThanOrEqual(sampledTokens);
  expect(ledger.rows).toBeLessThanOrEqual(sampledTokens + requests.aborted);
}

/** Within 4 % and one block per sequence of the live tokens' bytes. */
function expectLittleWaste(engine: LLMEngine, peak: KvPeak): Pick<OneBatchFigures, "committedBytes" | "liveBytes" | "overhead"> {
  const { kvBytesPerToken, limits } = engine.info.memory;
  const committedBytes = engine.stats().memory.kvCommittedBytes;
  const liveBytes = peak.liveTokens * kvBytesPerToken;
  expect(committedBytes).toBeGreaterThanOrEqual(liveBytes);
  expect(committedBytes).toBeLessThanOrEqual(1.04 * liveBytes + peak.sequences * limits.blockSize * kvBytesPerToken);
  return { committedBytes, liveBytes, overhead: committedBytes / liveBytes };
}

/** The same streams where each reserves its longest length when it is admitted. */
async function contiguousPeak(options: OneBatchOptions, plans: Parameters<typeof runStreams>[1]): Promise<KvPeak> {
  const watch = new KvWatch();
  const engine = await cpuEngine({
    ...engineOptions(options),
    scheduler: watch.scheduler,
    blockManager: ({ limits }) => new ContiguousBlockManager(limits),
  });
  try {
    await runStreams(engine, plans);
    await engine.drain();
    assertIdle(engine);
    return watch.peak;
  } finally {
    await engine.dispose();
  }
}

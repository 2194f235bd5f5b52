/**
 * Random lives of an engine: arrivals, forks, aborts, leaving, slow readers, deadlines, lost runners, small pools.
 * After each step the block tables agree with the pool; at the end nothing is left, and every stream got the tokens
 * of its solo run up to where it ended, with exactly one terminal event.
 */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { BlockManager, EngineEvent, Scheduler, TokenEvent } from "../contracts/index.js";
import { PagedBlockManager, ContiguousBlockManager } from "../kv/index.js";
import { FcfsScheduler, PriorityScheduler } from "../scheduler/index.js";
import type { LLMEngine } from "./llm-engine.js";
import { slowBackend, soloTokens, testEngine, turns } from "./test-engine.js";

const MAX_LEN = 48;

const life = fc.record({
  paged: fc.boolean(),
  byPriority: fc.boolean(),
  numBlocks: fc.integer({ min: 12, max: 60 }),
  maxNumBatchedTokens: fc.integer({ min: 6, max: 40 }),
  failAt: fc.uniqueArray(fc.integer({ min: 0, max: 60 }), { maxLength: 4 }),
  requests: fc.array(
    fc.record({
      after: fc.integer({ min: 0, max: 12 }),
      promptLength: fc.integer({ min: 1, max: 30 }),
      maxTokens: fc.integer({ min: 1, max: 17 }),
      priority: fc.integer({ min: -2, max: 2 }),
      how: fc.constantFrom("read", "read", "leave", "abort", "signal", "slow", "fork", "deadline"),
      when: fc.integer({ min: 0, max: 10 }),
    }),
    { minLength: 1, maxLength: 24 },
  ),
});

type Life = typeof life extends fc.Arbitrary<infer T> ? T : never;

it("keeps blocks, tokens and events right through any life", { timeout: 300_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(life, (plan) => within(10_000, live(plan))),
    { numRuns: 3000 },
  );
  // The lives were eventful, or this proves little.
  expect(Math.min(...Object.values(seen)), JSON.stringify(seen)).toBeGreaterThan(30);
});

/** What happened in all lives together. */
const seen = { finished: 0, aborted: 0, failed: 0, preemptions: 0, restarts: 0, forksThatShared: 0 };

/** A livelock shows as a counterexample, not as a test that hangs. */
async function within(milliseconds: number, work: Promise<void>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("the engine makes no progress")), milliseconds);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function live(plan: Life): Promise<void> {
  let parts: { blockManager: BlockManager; scheduler: Scheduler } | undefined;
  const engine = await testEngine({
    backend: slowBackend({ failAt: plan.failAt }),
    numBlocks: plan.numBlocks,
    maxModelLen: MAX_LEN,
    maxNumSeqs: 6,
    maxNumBatchedTokens: plan.maxNumBatchedTokens,
    blockManager: ({ limits }) => new (plan.paged ? PagedBlockManager : ContiguousBlockManager)(limits),
    scheduler: ({ blockManager, schedulerConfig }) => {
      const scheduler = new (plan.byPriority ? PriorityScheduler : FcfsScheduler)(blockManager, schedulerConfig);
      parts = { blockManager, scheduler };
      return scheduler;
    },
  });
  const terminal = new Map<string, number>();
  engine.events$.subscribe((event) => {
    count(event, terminal);
    if (event.type === "step-end") parts!.blockManager.checkIntegrity(parts!.scheduler.sequences());
  });
  await Promise.all(plan.requests.map((request, index) => consume(engine, request, index)));
  await engine.drain();
  const { blocks, requests, scheduler } = engine.stats();
  expect(blocks.numFreeBlocks).toBe(blocks.numBlocks);
  expect(requests.live + scheduler.numRunning + scheduler.numWaiting).toBe(0);
  expect([...terminal.values()].every((times) => times === 1)).toBe(true);
  expect(terminal.size).toBe(requests.started + requests.refused);
  parts!.blockManager.checkIntegrity([]);
  seen.finished += requests.finished;
  seen.aborted += requests.aborted;
  seen.failed += requests.failed;
  seen.preemptions += scheduler.numPreemptions;
  seen.restarts += engine.stats().restarts;
  await engine.dispose();
}

function count(event: EngineEvent, terminal: Map<string, number>): void {
  if (event.type !== "request-end" && event.type !== "request-error") return;
  terminal.set(event.requestId, (terminal.get(event.requestId) ?? 0) + 1);
}

type Request = Life["requests"][number];

async function consume(engine: LLMEngine, request: Request, index: number): Promise<void> {
  await turns(request.after);
  const prompt = Array.from({ length: request.promptLength }, (_, i) => (index * 31 + i * 7) % 676);
  const requestId = `r${index}`;
  const controller = new AbortController();
  const stream = engine.generate(prompt, {
    requestId,
    maxTokens: request.maxTokens,
    priority: request.priority,
    signal: controller.signal,
    bufferLimit: request.how === "slow" ? 1 : 256,
    ...(request.how === "deadline" ? { deadlineMs: 1 + request.when } : {}),
  });
  const got: number[] = [];
  const forks: Promise<void>[] = [];
  let ended = false;
  try {
    for await (const event of stream) {
      expect(ended).toBe(false);
      ended = event.type === "request-end";
      if (event.type === "token") got.push(event.id);
      if (request.how === "slow") await turns(request.when);
      if (event.type !== "token" || event.index !== request.when) continue;
      if (request.how === "leave") break;
      if (request.how === "abort") engine.abort(requestId);
      if (request.how === "signal") controller.abort();
      if (request.how === "fork") forks.push(followFork(engine, requestId, prompt, request.maxTokens));
    }
  } catch (error) {
    // A runner that is lost too often in a row takes its requests with it.
    expect(["aborted", "timeout", "engine_restarted"]).toContain((error as { code?: string }).code);
  }
  expect(got).toEqual(soloTokens(prompt, got.length));
  await Promise.all(forks);
}

async function followFork(engine: LLMEngine, requestId: string, prompt: number[], maxTokens: number): Promise<void> {
  const events: TokenEvent[] = [];
  try {
    for await (const event of engine.fork(requestId, { maxTokens: Math.min(maxTokens, 8) })) events.push(event);
  } catch (error) {
    // The parent may have ended, or stand at the end of the context.
    expect(["invalid_request", "context_length", "engine_restarted"]).toContain((error as { code?: string }).code);
  }
  const [queued] = events;
  const end = events.at(-1);
  if (end?.type === "request-end" && end.usage.cachedTokens > 0) seen.forksThatShared++;
  if (queued?.type !== "request-queued") return;
  const got = events.flatMap((event) => (event.type === "token" ? [event.id] : []));
  const numForked = queued.promptTokens - prompt.length;
  expect(got).toEqual(soloTokens(prompt, numForked + got.length).slice(numForked));
}

/** Runners that die, plug-ins that break a whole step, and the end of an engine. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ModelInput, Backend, EngineEvent, ModelRunner } from "../contracts/index.js";
import { EngineRestartedError } from "../errors/index.js";
import { FcfsScheduler } from "../scheduler/index.js";
import { nullBackend } from "../testing/null-backend.js";
import type { LLMEngine } from "./llm-engine.js";
import { CANARY, collect, EngineRig, soloTokens, testEngine, testModel, tokenIds, turns, type TestEngineOptions } from "./test-engine.js";

const rig = new EngineRig();
const engineFor = (options?: TestEngineOptions): Promise<LLMEngine> => rig.engine(options);
/** A greedy stream beside the fault: it must not notice. */
const canary = async (engine: LLMEngine, count = 40): Promise<void> => {
  expect(tokenIds(await collect(engine.generate(CANARY, { maxTokens: count })))).toEqual(soloTokens(CANARY, count));
};

beforeEach(() => rig.watch());
afterEach(async () => expect(await rig.finish()).toEqual([]));

describe("runners that die", () => {
  it("in-flight requests are replayed with the same tokens when the runner recovers", async () => {
    const engine = await engineFor({ backend: nullBackend({ failAt: [3, 17, 18] }) });
    const events: EngineEvent[] = [];
    engine.events$.subscribe((event) => events.push(event));
    const prompts = [[1], [2, 3, 4], [5, 6, 7, 8, 9, 10]];
    const results = await Promise.all(prompts.map((prompt) => collect(engine.generate(prompt, { maxTokens: 25 }))));
    results.forEach((result, i) => expect(tokenIds(result)).toEqual(soloTokens(prompts[i]!, 25)));
    expect(events.filter((event) => event.type === "engine-restarted")).toEqual([
      { type: "engine-restarted", numReplayed: 3 },
      { type: "engine-restarted", numReplayed: 3 },
      { type: "engine-restarted", numReplayed: 3 },
    ]);
    expect(engine.stats().restarts).toBe(3);
  });

  it("a step that kills the runner again and again fails the requests, and the engine works on", async () => {
    const engine = await engineFor({ backend: nullBackend({ failAt: [2, 3, 4, 5] }) });
    await expect(engine.generate([1], { maxTokens: 25 }).text()).rejects.toMatchObject({ code: "engine_restarted" });
    // The last one is for the requests to come.
    expect(engine.stats().restarts).toBe(4);
    await canary(engine);
  });

  it("a request that kills the runner in a later chunk of its prompt fails alone, however often its first chunk succeeds", async () => {
    const lost = new EngineRestartedError("lost");
    const poison = Array.from({ length: 40 }, () => 13);
    const engine = await engineFor({
      maxPrefillChunk: 8,
      backend: withRunner((runner) => ({
        execute: async (input: ModelInput) => {
          for (let i = 0; i < input.numTokens; i++) if (input.inputIds[i] === 13 && input.positions[i]! >= 16) throw lost;
          return runner.execute(input);
        },
      })),
    });
    const healthy = engine.generate([1, 2], { maxTokens: 60 });
    const [poisoned, fine] = await Promise.allSettled([engine.generate(poison, { maxTokens: 5 }).text(), collect(healthy)]);
    expect(poisoned).toMatchObject({ status: "rejected", reason: lost });
    expect(fine.status === "fulfilled" && tokenIds(fine.value)).toEqual(soloTokens([1, 2], 60));
  });

  it("without recover() every request fails with EngineRestartedError", async () => {
    const engine = await engineFor({ backend: withRunner((runner) => ({ recover: undefined, execute: failingAt(runner, 4) })) });
    const streams = [engine.generate([1], { maxTokens: 25 }), engine.generate([2], { maxTokens: 25 })];
    const results = await Promise.allSettled(streams.map((stream) => stream.text()));
    for (const result of results) expect(result).toMatchObject({ status: "rejected", reason: { code: "engine_restarted" } });
    await canary(engine);
  });

  it("a recover() that fails fails the requests with its error", async () => {
    const lost = new EngineRestartedError("gone for good");
    const engine = await engineFor({
      backend: withRunner((runner) => ({ recover: () => Promise.reject(lost), execute: failingAt(runner, 4) })),
    });
    await expect(engine.generate([1], { maxTokens: 25 }).text()).rejects.toBe(lost);
  });

  it("a scheduler that throws fails the requests with what it threw", async () => {
    const thrown = new Error("scheduler");
    let broken = true;
    const engine = await engineFor({
      scheduler: (services) => {
        const scheduler = new FcfsScheduler(services.blockManager, services.schedulerConfig);
        const schedule = scheduler.schedule.bind(scheduler);
        scheduler.schedule = () => {
          if (broken) throw thrown;
          return schedule();
        };
        return scheduler;
      },
    });
    await expect(engine.generate([1]).text()).rejects.toBe(thrown);
    broken = false;
    await canary(engine);
  });
});

describe("dispose", () => {
  it("fails running requests with DisposedError, refuses new ones, completes events$, is idempotent", async () => {
    const engine = await testEngine();
    let completed = false;
    engine.events$.subscribe({ complete: () => (completed = true) });
    const running = engine.generate([1], { maxTokens: 500 }).text();
    await turns(4);
    const disposals = [engine.dispose(), engine.dispose()];
    await expect(running).rejects.toMatchObject({ code: "disposed" });
    await Promise.all(disposals);
    expect(completed).toBe(true);
    const { blocks } = engine.stats();
    expect(blocks.numFreeBlocks).toBe(blocks.numBlocks);
    await expect(engine.generate([1]).text()).rejects.toMatchObject({ code: "disposed" });
    await expect(collect(engine.fork("x"))).rejects.toMatchObject({ code: "disposed" });
    await engine.dispose();
  });

  it("works from inside a consumer's next, and by await using", async () => {
    const engine = await testEngine();
    const error = await new Promise<unknown>((resolve) => {
      engine.generate([1], { maxTokens: 50 }).subscribe({
        next: (event) => {
          if (event.type === "token") void engine.dispose();
        },
        error: resolve,
      });
    });
    expect(error).toMatchObject({ code: "disposed" });
    let inner: LLMEngine;
    {
      await using used = await testEngine();
      inner = used;
    }
    await expect(inner.generate([1]).text()).rejects.toMatchObject({ code: "disposed" });
  });

  it("a thousand engines leave neither handles nor heap behind", async () => {
    const model = testModel();
    const backend = nullBackend();
    const makeAndDispose = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const engine = await testEngine({ model, backend, numBlocks: 64, maxModelLen: 64, maxNumSeqs: 2, maxNumBatchedTokens: 8 });
        await engine.generate([1], { maxTokens: 2, deadlineMs: 60_000 }).text();
        await engine.dispose();
      }
      await turns(2);
    };
    await makeAndDispose(300);
    const handles = process.getActiveResourcesInfo().length;
    const heap = usedHeap();
    await makeAndDispose(700);
    expect(process.getActiveResourcesInfo().length).toBeLessThanOrEqual(handles);
    // One kept engine would be 20 KB of buffers and objects.
    // Array buffers are freed by a task of their own, late on a busy machine.
    await vi.waitFor(() => expect(usedHeap() - heap).toBeLessThan(700 * 2048), { timeout: 5000, interval: 50 });
  });
});

/** The null backend with other methods on its runner. */
function withRunner(change: (runner: ModelRunner) => object): Backend {
  const base = nullBackend();
  const loadModel: Backend["loadModel"] = async (...args) => {
    const runner = await base.loadModel(...args);
    const changed = change(runner);
    return new Proxy(runner, {
      get: (target, name) => {
        if (name in changed) return changed[name as keyof typeof changed];
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  };
  return { name: base.name, apiVersion: base.apiVersion, capabilities: base.capabilities, loadModel, dispose: () => base.dispose() };
}

/** Fails its `nth` call, from 0, as a runner does whose worker died. */
function failingAt(runner: ModelRunner, nth: number): ModelRunner["execute"] {
  let calls = 0;
  return (input) => (calls++ === nth ? Promise.reject(new EngineRestartedError("the worker died")) : runner.execute(input));
}

/** Bytes, after a full collection. */
function usedHeap(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

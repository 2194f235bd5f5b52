/** Consumers that leave, fail, lag, abort or come twice: theirs is the only stream that notices. */
import { getEventListeners } from "node:events";
import { map, mergeMap, retry, share, take } from "rxjs";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { EngineEvent, TokenEvent } from "../contracts/index.js";
import { ContiguousBlockManager } from "../kv/index.js";
import { PriorityScheduler } from "../scheduler/index.js";
import { nullBackend } from "../testing/null-backend.js";
import type { LLMEngine } from "./llm-engine.js";
import { CANARY, collect, EngineRig, slowBackend, soloTokens, tokenIds, turns, type TestEngineOptions } from "./test-engine.js";

const rig = new EngineRig();
const engineFor = (options?: TestEngineOptions): Promise<LLMEngine> => rig.engine(options);
/** A greedy stream beside the fault: it must not notice. */
const canary = async (engine: LLMEngine, count = 40): Promise<void> => {
  expect(tokenIds(await collect(engine.generate(CANARY, { maxTokens: count })))).toEqual(soloTokens(CANARY, count));
};

beforeEach(() => rig.watch());
afterEach(async () => expect(await rig.finish()).toEqual([]));

describe("consumers that leave", () => {
  const moments = ["before it is scheduled", "in prefill", "mid chunked prefill", "mid decode", "after the end", "twice"];
  it.each(moments.flatMap((when) => [[when, "between steps", nullBackend()] as const, [when, "during a step", slowBackend()] as const]))(
    "unsubscribing %s, %s, frees the blocks by the next step and emits nothing more",
    async (when, _where, backend) => {
      const engine = await engineFor({ backend, maxNumSeqs: 4, maxNumBatchedTokens: 8 });
      const other = canary(engine);
      const events: TokenEvent[] = [];
      let left = false;
      const subscription = engine
        .generate(
          Array.from({ length: 30 }, (_, i) => i),
          { maxTokens: 10 },
        )
        .subscribe((event) => {
          expect(left).toBe(false);
          events.push(event);
        });
      const until: Record<string, (event: TokenEvent | undefined) => boolean> = {
        "before it is scheduled": () => true,
        "in prefill": (event) => event?.type === "prefill-progress",
        "mid chunked prefill": (event) => event?.type === "prefill-progress" && event.computedTokens > 10,
        "mid decode": (event) => event?.type === "token" && event.index === 3,
        "after the end": (event) => event?.type === "request-end",
        twice: (event) => event?.type === "token",
      };
      while (!until[when]!(events.at(-1))) await turns(1);
      left = true;
      subscription.unsubscribe();
      if (when === "twice") subscription.unsubscribe();
      await other;
      await engine.drain();
      expect(engine.stats().requests).toMatchObject(when === "after the end" ? { finished: 2 } : { aborted: 1, finished: 1 });
    },
  );

  it("unsubscribing inside next stops at that event", async () => {
    const engine = await engineFor();
    const other = canary(engine);
    const events = await new Promise<TokenEvent[]>((resolve) => {
      const seen: TokenEvent[] = [];
      engine
        .generate([1, 2], { maxTokens: 50 })
        .pipe(take(5))
        .subscribe({ next: (event) => seen.push(event), complete: () => resolve(seen) });
    });
    await other;
    expect(tokenIds(events)).toEqual(soloTokens([1, 2], 3));
    expect(engine.stats().requests.aborted).toBe(1);
  });

  it("leaves while queued, and while preempted", async () => {
    const engine = await engineFor({ maxNumSeqs: 6, numBlocks: 12, maxModelLen: 40 });
    const events: EngineEvent[] = [];
    engine.events$.subscribe((event) => events.push(event));
    const streams = Array.from({ length: 6 }, (_, i) => engine.generate([i, 1, 2, 3, 4], { requestId: `r${i}`, maxTokens: 30 }));
    const subscriptions = streams.map((stream) => stream.subscribe({ error: () => {} }));
    const queued = engine.generate([9], { requestId: "queued", maxTokens: 5 }).subscribe();
    queued.unsubscribe();
    while (!events.some((event) => event.type === "request-preempted")) await turns(1);
    const victim = events.find((event) => event.type === "request-preempted") as { requestId: string };
    subscriptions[Number(victim.requestId.slice(1))]!.unsubscribe();
    await engine.drain();
    expect(engine.stats().requests).toMatchObject({ aborted: 2, finished: 5 });
  });

  it("return() of the async iterator cancels", async () => {
    const engine = await engineFor();
    for await (const event of engine.generate([1], { maxTokens: 500 })) if (event.type === "token" && event.index === 2) break;
    await engine.drain();
    expect(engine.stats().requests.aborted).toBe(1);
    expect(engine.stats().sampledTokens).toBeLessThan(10);
  });
});

describe("consumers that fail", () => {
  it("a throw in next ends that stream alone and is reported", async () => {
    const errors: unknown[] = [];
    const events: EngineEvent[] = [];
    const engine = await engineFor({ onError: (error, { requestId }) => errors.push([requestId, error]) });
    engine.events$.subscribe((event) => events.push(event));
    const other = canary(engine);
    const thrown = new Error("in next");
    let calls = 0;
    engine.generate([1, 2], { requestId: "bad", maxTokens: 50 }).subscribe((event) => {
      calls++;
      if (event.type === "token") throw thrown;
    });
    await other;
    expect(calls).toBe(3);
    expect(errors).toEqual([["bad", thrown]]);
    expect(events).toContainEqual({ type: "consumer-error", requestId: "bad", error: thrown });
    expect(engine.stats().requests).toMatchObject({ aborted: 1, finished: 1 });
  });

  it("a throw behind operators is caught as well, and one that handles errors gets what an operator throws", async () => {
    const errors: unknown[] = [];
    const engine = await engineFor({ onError: (error) => errors.push(error) });
    const thrown = new Error("behind map");
    engine
      .generate([1], { maxTokens: 5 })
      .pipe(map((event) => event.type))
      .subscribe(() => {
        throw thrown;
      });
    const inMap = new Error("in map");
    const handled = vi.fn();
    engine
      .generate([1], { maxTokens: 5 })
      .pipe(
        map(() => {
          throw inMap;
        }),
      )
      .subscribe({ error: handled });
    const rejected = new Error("async");
    engine
      .generate([1], { maxTokens: 5 })
      .pipe(
        mergeMap(async () => {
          throw rejected;
        }),
      )
      .subscribe();
    await engine.drain();
    await turns(2);
    expect(handled).toHaveBeenCalledExactlyOnceWith(inMap);
    expect(errors).toEqual(expect.arrayContaining([thrown, rejected]));
    expect(errors).toHaveLength(2);
  });

  it("a request error that nobody handles is reported and kills nothing, even if onError throws", async () => {
    const errors: unknown[] = [];
    const engine = await engineFor({
      onError: (error, { requestId }) => {
        errors.push(error, requestId);
        throw new Error("handler");
      },
    });
    engine.generate([-1], { requestId: "mine" }).subscribe();
    await turns(2);
    expect(errors).toMatchObject([{ code: "invalid_request" }, "mine"]);
  });

  it("a throwing events$ subscriber or observer disturbs nobody", async () => {
    const errors: unknown[] = [];
    const engine = await engineFor({
      observers: [
        {
          onEvent: () => {
            throw new Error("observer");
          },
        },
      ],
      onError: (error) => errors.push(error),
    });
    engine.events$.subscribe(() => {
      throw new Error("subscriber");
    });
    await canary(engine);
    expect(errors.length).toBeGreaterThan(1);
  });
});

describe("cold streams", () => {
  it("each consumption is a request; share() makes them one", async () => {
    const engine = await engineFor();
    const stream = engine.generate([1, 2], { maxTokens: 4 });
    const [first, second] = await Promise.all([collect(stream), collect(stream)]);
    expect(first![0]).not.toEqual(second![0]);
    expect(tokenIds(first!)).toEqual(tokenIds(second!));
    expect(engine.stats().requests.finished).toBe(2);
    const shared = stream.pipe(share());
    const counts = [0, 0];
    await new Promise<void>((resolve) => {
      shared.subscribe(() => counts[0]!++);
      shared.subscribe({ next: () => counts[1]!++, complete: resolve });
    });
    expect(engine.stats().requests.finished).toBe(3);
    // The first subscription started it, and saw the queueing alone.
    expect(counts[0]).toBe(counts[1]! + 1);
  });

  it("retry() makes a new request", async () => {
    const engine = await engineFor();
    let attempts = 0;
    const processor = {
      name: "flaky",
      process: () => {
        if (attempts++ === 0) throw new Error("first");
      },
    };
    const events: TokenEvent[] = [];
    await new Promise<void>((resolve, reject) => {
      engine
        .generate([1], { maxTokens: 2, logitsProcessors: [processor] })
        .pipe(retry(1))
        .subscribe({ next: (event) => events.push(event), error: reject, complete: resolve });
    });
    expect(events.filter((event) => event.type === "request-queued")).toHaveLength(2);
    expect(engine.stats().requests).toMatchObject({ started: 2, failed: 1, finished: 1 });
  });
});

describe("slow consumers", () => {
  it("a reader that stops pauses its request within the limit; others finish; it then gets every token", async () => {
    const engine = await engineFor();
    const slow = engine.generate([1, 2], { maxTokens: 300, bufferLimit: 10 })[Symbol.asyncIterator]();
    await slow.next();
    await canary(engine, 100);
    await turns(50);
    const sampledByNow = engine.stats().sampledTokens - 100;
    expect(sampledByNow).toBeGreaterThanOrEqual(9);
    expect(sampledByNow).toBeLessThanOrEqual(12);
    const stepsWhenPaused = engine.stats().steps;
    await turns(50);
    expect(engine.stats().steps).toBe(stepsWhenPaused);
    const rest: TokenEvent[] = [];
    for (let result = await slow.next(); !result.done; result = await slow.next()) rest.push(result.value);
    expect(tokenIds(rest)).toEqual(soloTokens([1, 2], 300));
  });

  it("a slow reader is not paused before its first token, so that preemption cannot keep it from one", async () => {
    const engine = await engineFor({
      backend: slowBackend(),
      blockManager: ({ limits }) => new ContiguousBlockManager({ numBlocks: 12, blockSize: limits.blockSize }),
      scheduler: (services) => new PriorityScheduler(services.blockManager, services.schedulerConfig),
      maxNumSeqs: 6,
      maxNumBatchedTokens: 6,
    });
    const first = Array.from({ length: 10 }, (_, i) => i);
    const second = Array.from({ length: 19 }, (_, i) => i);
    const other = collect(engine.generate(second, { maxTokens: 14, priority: 1 }));
    const got: TokenEvent[] = [];
    for await (const event of engine.generate(first, { maxTokens: 3, bufferLimit: 1 })) {
      got.push(event);
      await turns(6);
    }
    expect(tokenIds(got)).toEqual(soloTokens(first, 3));
    expect(tokenIds(await other)).toEqual(soloTokens(second, 14));
  });

  it("a hundred readers that never read hold their buffers' worth and can be left", async () => {
    const engine = await engineFor({ maxNumSeqs: 128, maxNumBatchedTokens: 256 });
    const iterators = Array.from({ length: 100 }, (_, i) =>
      engine.generate([i], { maxTokens: 500, bufferLimit: 4 })[Symbol.asyncIterator](),
    );
    await Promise.all(iterators.map((iterator) => iterator.next()));
    await canary(engine);
    expect(engine.stats().sampledTokens - 40).toBeLessThanOrEqual(100 * 6);
    await Promise.all(iterators.map((iterator) => iterator.return!()));
  });
});

describe("aborts and deadlines", () => {
  it("an AbortSignal that is aborted already gives one AbortError and starts nothing", async () => {
    const engine = await engineFor();
    const errors: unknown[] = [];
    engine.generate([1], { signal: AbortSignal.abort() }).subscribe({ error: (error) => errors.push(error) });
    expect(errors).toMatchObject([{ name: "AbortError", code: "aborted" }]);
    await expect(engine.generate([1]).text({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
    expect(engine.stats().requests).toMatchObject({ started: 0, refused: 2 });
  });

  it("aborting after any number of event-loop turns gives exactly one AbortError, frees blocks and listeners", async () => {
    const engine = await engineFor({ backend: slowBackend(), maxNumSeqs: 4, maxNumBatchedTokens: 8 });
    for (let fault = 0; fault < 60; fault++) {
      const controller = new AbortController();
      const prompt = Array.from({ length: 30 }, (_, i) => i);
      const seen: string[] = [];
      engine.generate(prompt, { maxTokens: 10, signal: controller.signal }).subscribe({
        next: (event) => seen.push(event.type),
        error: (error: Error) => seen.push(error.name),
        complete: () => seen.push("complete"),
      });
      await turns(fault);
      const ended = seen.includes("complete");
      controller.abort();
      const afterAbort = seen.length;
      await engine.drain();
      expect(seen).toHaveLength(afterAbort);
      expect(seen.filter((type) => type === "AbortError")).toHaveLength(ended ? 0 : 1);
      expect(getEventListeners(controller.signal, "abort")).toEqual([]);
    }
  });

  it("abort(id) ends that stream with an AbortError and says whether there was one", async () => {
    const engine = await engineFor();
    const other = canary(engine);
    const run = engine.generate([1], { requestId: "x", maxTokens: 500 }).text();
    await turns(5);
    expect(engine.abort("x")).toBe(true);
    await expect(run).rejects.toMatchObject({ name: "AbortError" });
    expect(engine.abort("x")).toBe(false);
    await other;
  });

  it("a deadline ends a queued request and one in mid decode, by the monotonic clock", async () => {
    const engine = await engineFor({ maxNumSeqs: 1, maxNumBatchedTokens: 8, backend: nullBackend({ stepMs: 1 }) });
    const date = vi.spyOn(Date, "now").mockReturnValue(0);
    const running = engine.generate([1], { maxTokens: 900, deadlineMs: 60 }).text();
    const queued = engine.generate([2], { maxTokens: 900, deadlineMs: 30 }).text();
    await expect(queued).rejects.toMatchObject({ code: "timeout" });
    await expect(running).rejects.toMatchObject({ code: "timeout" });
    date.mockRestore();
    expect(engine.stats().requests.failed).toBe(2);
  });

  it("a deadline ends a request whose reader stopped, while no step runs", async () => {
    const engine = await engineFor();
    const iterator = engine.generate([1], { maxTokens: 500, bufferLimit: 1, deadlineMs: 30 })[Symbol.asyncIterator]();
    await iterator.next();
    await engine.drain();
    expect(engine.stats().requests.failed).toBe(1);
    await expect(collect({ [Symbol.asyncIterator]: () => iterator })).rejects.toMatchObject({ code: "timeout" });
  });
});

/** The engine API over a child process: the same as in process, over the null backend. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Engine, EngineEvent, TokenEvent } from "../../contracts/index.js";
import { collect, joinedText, tokenIds } from "../../engine/test-engine.js";
import type { RemoteEngine } from "./remote-engine.js";
import { remoteEngine } from "./remote-engine.js";
import { NULL_ENGINE, RemoteRig, until, withoutTimes } from "./testing-support/remote-rig.js";

const rig = new RemoteRig();
let remote: RemoteEngine;
let local: Engine;

beforeAll(async () => {
  const { createEngine } = (await import(NULL_ENGINE.href)) as { createEngine: (options: object) => Promise<Engine> };
  [remote, local] = await Promise.all([rig.engine({}, { onError: () => {} }), createEngine({ onError: () => {} })]);
});
afterAll(async () => {
  await local?.dispose();
  expect(await rig.finish()).toEqual([]);
});

describe("a remote engine", () => {
  it("says what it runs, as in process", () => {
    expect({ ...remote.info, memory: undefined }).toEqual({ ...local.info, memory: undefined });
    expect(remote.info.memory.limits).toEqual(local.info.memory.limits);
    expect(remote.stats().health).toBe("ok");
    expect(remote.pid).not.toBe(process.pid);
  });

  it.each([
    ["of ids", [1, 2, 3], { maxTokens: 20 }],
    ["of a typed array", Int32Array.of(1, 2, 3), { maxTokens: 3 }],
    ["of text, cut inside characters", "héllo 中", { maxTokens: 64 }],
    ["of messages", [{ role: "user", content: "hi" }], { maxTokens: 9 }],
    ["with logprobs and the best", "x", { maxTokens: 5, logprobs: 3 }],
    ["with bans and biases", "x", { maxTokens: 5, logprobs: 2, logitBias: { 5: -Infinity, 6: 1.25 } }],
    ["with full logits", "x", { maxTokens: 3, fullLogits: true }],
    ["that stops at a string", "abc", { maxTokens: 500, stop: ["中"], minTokens: 2 }],
    ["that keeps its stop string", "abc", { maxTokens: 500, stop: ["😀", "bb"], includeStopString: true }],
    ["that fills its context", "abc", { stopTokenIds: [] }],
  ])("streams a request %s, event by event as in process", async (_, prompt, options) => {
    const [here, there] = await Promise.all(
      [local, remote].map((engine) => collect(engine.generate(prompt, { ...options, requestId: "r" }))),
    );
    expect(withoutTimes(there!)).toEqual(withoutTimes(here!));
    expect(there!.length).toBeGreaterThan(3);
  });

  it.each([
    ["an unknown option", "x", { maxTokns: 3 }],
    ["a wrong value", "x", { temperature: -1 }],
    ["a wrong id", [-1], {}],
    ["an empty prompt", [], {}],
    ["an empty text", "", {}],
    ["messages without content", [{ role: "user" }], {}],
    ["too long a prompt", new Int32Array(1024), {}],
    ["too many new tokens", [1, 2], { maxTokens: 1023 }],
    ["an aborted signal", "x", { signal: AbortSignal.abort() }],
    ["options that are no object", "x", 5],
  ])("refuses %s with the same error", async (_, prompt, options) => {
    const errors = await Promise.all(
      [local, remote].map((engine) =>
        engine
          .generate(prompt as string, options as object)
          .text()
          .then(String, (error: { code: string; message: string }) => ({
            code: error.code,
            message: error.message.replaceAll(/req-\d+/g, "req"),
          })),
      ),
    );
    expect(errors[1]).toEqual(errors[0]);
    expect(errors[0]).toHaveProperty("code");
  });

  it("refuses logits processors, which are code, and messages that are no data", async () => {
    const processor = { name: "mine", process: () => {} };
    await expect(remote.generate("x", { logitsProcessors: [processor] }).text()).rejects.toMatchObject({ code: "not_supported" });
    await expect(remote.chat([{ role: "user", content: "x", big: 1n }]).text()).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("forks a running request, whose child goes on with the parent's tokens", async () => {
    const parent: TokenEvent[] = [];
    let child: Promise<TokenEvent[]> | undefined;
    for await (const event of remote.generate("parent", { maxTokens: 900, requestId: "parent" })) {
      parent.push(event);
      if (event.type === "token" && event.index === 7) child = collect(remote.fork("parent", { maxTokens: 20 }));
    }
    const forked = await child!;
    const numShared = (forked[0] as Extract<TokenEvent, { type: "request-queued" }>).promptTokens - 6;
    expect(numShared).toBeGreaterThanOrEqual(8);
    expect(tokenIds(forked)).toEqual(tokenIds(parent).slice(numShared, numShared + 20));
    await expect(remote.fork("parent").text()).rejects.toMatchObject({ code: "invalid_request", message: expect.stringContaining("fork") });
  });

  it("ends a request by abort(), by signal, by unsubscribing and by leaving the loop, and its blocks come back", async () => {
    const abort = new AbortController();
    const running = [
      collect(remote.generate("a", { maxTokens: 1000, requestId: "a" })),
      collect(remote.generate("b", { maxTokens: 1000, signal: abort.signal })),
    ];
    const results = Promise.allSettled(running);
    const subscription = remote.generate("c", { maxTokens: 1000 }).subscribe();
    await until("they run", () => remote.stats().requests.live === 3);
    for await (const event of remote.generate("d", { maxTokens: 1000 })) if (event.type === "token") break;
    expect([remote.abort("a"), remote.abort("a"), remote.abort("nobody")]).toEqual([true, false, false]);
    abort.abort();
    subscription.unsubscribe();
    for (const result of await results) expect(result).toMatchObject({ status: "rejected", reason: { code: "aborted" } });
    await until("blocks are free", () => remote.stats().blocks.numFreeBlocks === remote.stats().blocks.numBlocks);
    expect(remote.stats().requests.live).toBe(0);
  });

  it("ends a request at its deadline", async () => {
    const slow = remote.generate("late", { maxTokens: 1000, deadlineMs: 1, bufferLimit: 1 });
    await expect(collect(slow)).rejects.toMatchObject({ code: "timeout", message: expect.stringContaining("deadline of 1 ms") });
  });

  it("pauses the sequence of a slow consumer in the child, while others go on", async () => {
    let computed = 0;
    const counting = remote.events$.subscribe((event) => {
      if (event.type === "step-end") computed += event.stats.numRows;
    });
    const slow = remote.generate("slow", { maxTokens: 900, bufferLimit: 8, requestId: "slow" }).events();
    await slow.next();
    await until("its buffer is full", () => computed >= 8);
    // It stands still once the order to pause has reached the child.
    let before: number;
    do {
      before = computed;
      await new Promise((resolve) => setTimeout(resolve, 100));
    } while (computed > before);
    const other = await collect(remote.generate("other", { maxTokens: 100 }));
    counting.unsubscribe();
    // Its buffer, and what was on its way: EVENT_WINDOW messages at most, of a step or two each.
    expect(before).toBeLessThan(450);
    expect(computed - before).toBe(100);
    const rest: TokenEvent[] = [];
    for (let next = await slow.next(); !next.done; next = await slow.next()) rest.push(next.value);
    expect(tokenIds(rest)).toHaveLength(900);
    expect(tokenIds(other)).toHaveLength(100);
  });

  it("reports a consumer that throws, and cancels its request alone", async () => {
    const errors: unknown[] = [];
    const subscription = remote.events$.subscribe((event) => {
      if (event.type === "consumer-error") errors.push(event.error);
    });
    const thrown = new Error("consumer");
    remote.generate("x", { maxTokens: 100 }).subscribe((event) => {
      if (event.type === "token") throw thrown;
    });
    await until("it is reported", () => errors.length > 0);
    subscription.unsubscribe();
    expect(errors).toEqual([thrown]);
    expect(joinedText(await collect(remote.generate("x", { maxTokens: 5 })))).toBe(
      joinedText(await collect(local.generate("x", { maxTokens: 5 }))),
    );
  });

  it("tells the same engine events as in process, and counts alike", async () => {
    const told = await Promise.all(
      [local, remote].map(async (engine) => {
        const events: EngineEvent[] = [];
        const before = engine.stats();
        const subscription = engine.events$.subscribe((event) => events.push(event));
        await engine.generate("events", { maxTokens: 6, requestId: "e" }).text();
        await engine
          .generate("events", { maxTokens: 0, requestId: "f" })
          .text()
          .catch(() => {});
        await until("the last step is told", () => events.filter(({ type }) => type === "step-end").length === 6);
        subscription.unsubscribe();
        const { requests, steps, sampledTokens, computedTokens } = engine.stats();
        return {
          types: events.map((event) => event.type),
          finished: requests.finished - before.requests.finished,
          refused: requests.refused - before.requests.refused,
          steps: steps - before.steps,
          sampledTokens: sampledTokens - before.sampledTokens,
          computedTokens: computedTokens - before.computedTokens,
        };
      }),
    );
    expect(told[1]!.types.toSorted()).toEqual(told[0]!.types.toSorted());
    expect({ ...told[1], types: 0 }).toEqual({ ...told[0], types: 0 });
  });
});

describe("remoteEngine's options", () => {
  it.each<[string, object, RegExp]>([
    ["neither module nor command", {}, /either module or command/],
    ["both", { module: "./x.mjs", command: ["x"] }, /either module or command/],
    ["a data: module", { module: "data:text/javascript,1" }, /module is .*a path or a file: URL/],
    ["an empty command", { command: [] }, /command is/],
    ["options that are no JSON", { module: "./x.mjs", options: { n: 1n } }, /plain JSON/],
    ["an unknown name", { module: "./x.mjs", maxRestart: 1 }, /did you mean maxRestarts/],
    ["a heartbeat out of range", { module: "./x.mjs", heartbeatTimeoutMs: 1 }, /heartbeatTimeoutMs is 1; it takes a number from 50/],
    ["half a restart", { module: "./x.mjs", maxRestarts: 0.5 }, /maxRestarts is 0.5; it takes a whole number/],
    ["a wrong word", { module: "./x.mjs", onRestart: "retry" }, /replay or fail/],
  ])("are refused: %s", async (_, options, message) => {
    const error: unknown = await remoteEngine(options).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "invalid_options", message: expect.stringMatching(message) });
  });
});

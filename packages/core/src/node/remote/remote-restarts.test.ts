/** Children that crash, hang, stop or talk nonsense: found, killed, replaced; requests go on or fail with their typed error. */
import { afterAll, describe, expect, it } from "vitest";
import type { EngineEvent, GenerateOptions, TokenEvent } from "../../contracts/index.js";
import { collect, joinedText, tokenIds } from "../../engine/test-engine.js";
import type { RemoteEngine } from "./remote-engine.js";
import { isAlive, RemoteRig, until, withoutTimes } from "./testing-support/remote-rig.js";

const rig = new RemoteRig();
afterAll(async () => expect(await rig.finish()).toEqual([]));

/** Long enough to be running when something happens, quick enough for a test. */
const SLOW_STEPS = { stepMs: 1 };

const REQUESTS: readonly (readonly [string, GenerateOptions])[] = [
  ["greedy", { maxTokens: 120 }],
  ["héllo", { maxTokens: 120, logprobs: 2, stop: ["never there"] }],
  ["penalties", { maxTokens: 100, temperature: 1, seed: 3, repetitionPenalty: 1.2, minTokens: 90 }],
  ["unseeded", { maxTokens: 60, temperature: 1 }],
  ["stops", { maxTokens: 900, stop: ["中😀"] }],
];

/** What everything should be after a restart is what it was without one. Token events keep their order and index. */
async function runAll(engine: RemoteEngine, onToken: (total: number) => void = () => {}): Promise<TokenEvent[][]> {
  let total = 0;
  return Promise.all(
    REQUESTS.map(async ([prompt, options], i) => {
      const events: TokenEvent[] = [];
      for await (const event of engine.generate(prompt, { ...options, requestId: `r${i}` })) {
        events.push(event);
        if (event.type === "token") onToken(++total);
      }
      return events;
    }),
  );
}

// Side by side: most of their time is waiting.
describe.concurrent("a child that is lost", () => {
  it("is replaced, and every request goes on token by token and letter by letter", async () => {
    const engine = await rig.engine(SLOW_STEPS, { restartWindowMs: 60_000 });
    const told: EngineEvent[] = [];
    engine.events$.subscribe((event) => told.push(event));
    const undisturbed = await runAll(engine);
    const struck = new Set<number>();
    const signals = ["SIGKILL", "SIGSEGV"];
    const disturbed = await runAll(engine, (total) => {
      const { pid } = engine;
      // Each process once: what a dead one said last may come late.
      if (total < 60 || pid === undefined || struck.has(pid) || signals.length === 0) return;
      struck.add(pid);
      process.kill(pid, signals.shift());
    });
    expect(disturbed.map(withoutTimes)).toEqual(undisturbed.map(withoutTimes));
    const restarts = told.filter(({ type }) => type === "engine-restarted");
    expect(restarts).toHaveLength(2);
    const health = told.flatMap((event) => (event.type === "engine-health" ? [`${event.health}: ${event.reason}`] : []));
    expect(health).toEqual([
      "restarting: it was ended by SIGKILL",
      "degraded: it is back",
      "restarting: it was ended by SIGSEGV",
      "degraded: it is back",
    ]);
    expect(engine.stats()).toMatchObject({ health: "degraded", restarts: 2, requests: { finished: 10, failed: 0, live: 0 } });
    // Once per request, not once per child.
    expect(told.filter(({ type }) => type === "request-queued")).toHaveLength(10);
  });

  it.each([
    ["stops (SIGSTOP)", {}, /no sign of life/],
    ["hangs in its event loop", { fault: "loop", atStep: 20 }, /no sign of life/],
    ["hangs in a step, its event loop well", { fault: "hang", atStep: 20 }, /a step has been running/],
    ["exits", { fault: "exit", atStep: 20 }, /exited with code 3/],
    ["talks nonsense", { fault: "garbage", atStep: 20 }, /what the protocol does not know/],
  ])("because it %s is killed, and its requests go on", async (what, fault, reason) => {
    const once = rig.file();
    const engine = await rig.engine(
      { ...SLOW_STEPS, ...fault, once },
      { heartbeatTimeoutMs: 1000, stepTimeoutMs: 1000, maxReplays: 1000, maxRestarts: 1000 },
    );
    const reasons: string[] = [];
    engine.events$.subscribe((event) => {
      if (event.type === "engine-health") reasons.push(event.reason);
    });
    const pid = engine.pid!;
    const stream = collect(engine.generate("abc", { maxTokens: 80 }));
    if (what.startsWith("stops")) process.kill(pid, "SIGSTOP");
    const tokens = tokenIds(await stream);
    expect(reasons[0]).toMatch(reason);
    expect(isAlive(pid)).toBe(false);
    expect(tokens).toEqual(tokenIds(await collect(engine.generate("abc", { maxTokens: 80 }))));
  });

  it("fails its requests with EngineRestartedError when that is asked for, and those that come meanwhile run", async () => {
    const engine = await rig.engine(SLOW_STEPS, { onRestart: "fail" });
    const running = collect(engine.generate("a", { maxTokens: 1000 }));
    await until("it runs", () => engine.stats().requests.started === 1);
    process.kill(engine.pid!, "SIGKILL");
    await expect(running).rejects.toMatchObject({ code: "engine_restarted", message: expect.stringContaining("SIGKILL") });
    expect(tokenIds(await collect(engine.generate("b", { maxTokens: 5 })))).toHaveLength(5);
  });

  it("again and again by one request fails that request, and no neighbour that goes on", async () => {
    const engine = await rig.engine({ ...SLOW_STEPS, poison: 299 }, { maxReplays: 2, maxRestarts: 20 });
    const healthy = collect(engine.generate("healthy", { maxTokens: 400 }));
    await until("it runs", () => engine.stats().requests.started === 1);
    await expect(collect(engine.generate([299], { maxTokens: 5 }))).rejects.toMatchObject({
      code: "engine_restarted",
      message: expect.stringContaining("maxReplays = 2"),
    });
    expect(tokenIds(await healthy)).toHaveLength(400);
    expect(engine.stats().restarts).toBe(3);
  });

  it("more often than the budget allows fails the engine, until the window has passed", async () => {
    const engine = await rig.engine({}, { maxRestarts: 0, restartWindowMs: 1500 });
    const running = collect(engine.generate("a", { maxTokens: 1000, bufferLimit: 1 }));
    await until("it runs", () => engine.stats().requests.started === 1);
    process.kill(engine.pid!, "SIGKILL");
    await expect(running).rejects.toMatchObject({ code: "engine_restarted", message: expect.stringContaining("maxRestarts = 0") });
    expect(engine.stats()).toMatchObject({ health: "failed", requests: { live: 0 } });
    await expect(engine.generate("b").text()).rejects.toMatchObject({ code: "engine_restarted" });
  });

  it("while it was idle is replaced before the next request, which waits for it", async () => {
    const engine = await rig.engine({}, { maxRestarts: 1, restartWindowMs: 500 });
    process.kill(engine.pid!, "SIGKILL");
    await until("it is missed", () => engine.stats().health === "restarting");
    expect(tokenIds(await collect(engine.generate("a", { maxTokens: 5 })))).toHaveLength(5);
    process.kill(engine.pid!, "SIGKILL");
    await until("it is missed again", () => engine.stats().health !== "ok" && engine.stats().health !== "degraded");
    // Restarting or failed: after the window both are over.
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(tokenIds(await collect(engine.generate("a", { maxTokens: 5 })))).toHaveLength(5);
  });

  it("and comes back as another model fails its requests instead of mixing the two", async () => {
    const once = rig.file();
    const engine = await rig.engine({ ...SLOW_STEPS, renameOnce: once }, { maxRestarts: 2 });
    const running = collect(engine.generate("a", { maxTokens: 1000 }));
    await until("it runs", () => engine.stats().requests.started === 1);
    process.kill(engine.pid!, "SIGKILL");
    await expect(running).rejects.toMatchObject({ code: "engine_restarted", message: expect.stringContaining("the model changed") });
  });

  it("of an engine that is disposed meanwhile is not replaced", async () => {
    const engine = await rig.engine({}, { backoffMs: 60_000 });
    const running = collect(engine.generate("a", { maxTokens: 1000, bufferLimit: 1 }));
    const failed = expect(running).rejects.toMatchObject({ code: "disposed" });
    process.kill(engine.pid!, "SIGKILL");
    await until("it is missed", () => engine.stats().health === "restarting");
    await engine.dispose();
    await failed;
    expect(engine.pid).toBeUndefined();
  });

  it("loses no text that was held back: joined, it is the text of an undisturbed run", async () => {
    const engine = await rig.engine(SLOW_STEPS, { maxRestarts: 100 });
    const options = { maxTokens: 90, stop: ["中😀b中", "😀b中😀b"] };
    const undisturbed = joinedText(await collect(engine.generate("text", options)));
    let text = "";
    for await (const event of engine.generate("text", options)) {
      if ("text" in event) text += event.text;
      if (event.type === "token" && event.index % 23 === 22 && engine.pid) process.kill(engine.pid, "SIGKILL");
    }
    expect(text).toBe(undisturbed);
    expect(engine.stats().restarts).toBeGreaterThan(0);
  });
});

import { afterEach, describe, expect, it, vi } from "vitest";
import { Deadlines } from "./deadlines.js";
import { DisposalList } from "./disposal-list.js";
import { EngineLoop } from "./engine-loop.js";
import { nearestName } from "./nearest-name.js";

const yieldOnce = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

afterEach(() => {
  vi.useRealTimers();
});

describe("EngineLoop", () => {
  it("runs while there is work, sleeps otherwise, and starts again when woken", async () => {
    let work = 3;
    const steps: number[] = [];
    const body = { hasWork: () => work > 0, isBlocked: () => false, step: async () => steps.push(work--) > 0 };
    const loop = new EngineLoop(body, yieldOnce);
    expect(steps).toEqual([]);
    loop.wake();
    loop.wake();
    await loop.idle();
    expect(steps).toEqual([3, 2, 1]);
    work = 1;
    loop.wake();
    await loop.idle();
    expect(steps).toEqual([3, 2, 1, 1]);
  });

  it("sleeps without polling while it is blocked, and loses no wake", async () => {
    let blocked = true;
    let steps = 0;
    const body = { hasWork: () => blocked, isBlocked: () => blocked, step: async () => ++steps < 0 };
    const loop = new EngineLoop(body, yieldOnce);
    loop.wake();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(steps).toBe(1);
    blocked = false;
    loop.wake();
    await loop.idle();
    expect(steps).toBe(1);
  });

  it("asks a scheduler again that had work and ran none of it", async () => {
    let steps = 0;
    const body = { hasWork: () => steps < 4, isBlocked: () => false, step: async () => ++steps < 0 };
    const loop = new EngineLoop(body, yieldOnce);
    loop.wake();
    await loop.idle();
    expect(steps).toBe(4);
  });

  it("stops after the step in flight, asleep or not, and stays stopped", async () => {
    let steps = 0;
    const loop = new EngineLoop({ hasWork: () => true, isBlocked: () => true, step: async () => ++steps < 0 }, yieldOnce);
    loop.wake();
    await new Promise((resolve) => setTimeout(resolve, 5));
    await loop.stop();
    const stepsAtStop = steps;
    loop.wake();
    await yieldOnce();
    expect(steps).toBe(stepsAtStop);
  });
});

describe("Deadlines", () => {
  it("expires what is due by its own clock, however late or early the timer is", () => {
    vi.useFakeTimers();
    let now = 0;
    const expired: string[] = [];
    const deadlines = new Deadlines<{ deadline: number; name: string }>(
      () => now,
      (item) => expired.push(item.name),
    );
    const late = { deadline: 100, name: "late" };
    deadlines.add({ deadline: 10, name: "soon" });
    deadlines.add(late);
    deadlines.add({ deadline: Infinity, name: "never" });
    vi.advanceTimersByTime(50);
    expect(expired).toEqual([]);
    now = 20;
    deadlines.expire();
    expect(expired).toEqual(["soon"]);
    deadlines.delete(late);
    expect(vi.getTimerCount()).toBe(0);
    now = 1000;
    deadlines.expire();
    expect(expired).toEqual(["soon"]);
  });

  it("keeps no timer when the last one expired, and takes deadlines beyond a timer's range", () => {
    vi.useFakeTimers();
    let now = 0;
    const deadlines = new Deadlines<{ deadline: number }>(
      () => now,
      () => {},
    );
    deadlines.add({ deadline: 2 ** 40 });
    expect(vi.getTimerCount()).toBe(1);
    now = 2 ** 41;
    deadlines.expire();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("DisposalList", () => {
  it("disposes in reverse, by the best method there is, each once, and throws the first error at the end", async () => {
    const order: string[] = [];
    const list = new DisposalList();
    list.own({ dispose: () => void order.push("dispose"), [Symbol.asyncDispose]: async () => void order.push("asyncDispose") });
    list.own({
      dispose: () => {
        throw new Error("second to go");
      },
    });
    list.own("nothing to dispose");
    list.defer(() => Promise.reject(new Error("first to go")));
    await expect(list.disposeAll()).rejects.toThrow("first to go");
    expect(order).toEqual(["asyncDispose"]);
    await list.disposeAll();
    expect(order).toEqual(["asyncDispose"]);
  });
});

describe("nearestName", () => {
  it("suggests a name for a typing error and none for another word", () => {
    expect(nearestName("temprature", ["topK", "temperature"])).toBe("temperature");
    expect(nearestName("MAXTOKENS", ["maxTokens"])).toBe("maxTokens");
    expect(nearestName("colour", ["maxTokens"])).toBeUndefined();
  });
});

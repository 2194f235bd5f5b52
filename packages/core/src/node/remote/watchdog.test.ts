import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RestartBudget } from "./restart-budget.js";
import { beatMsOf, Watchdog } from "./watchdog.js";

const LIMITS = { heartbeatTimeoutMs: 1000, stepTimeoutMs: 500 };

describe("Watchdog", () => {
  const reasons: string[] = [];
  let dog: Watchdog;
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    reasons.length = 0;
    dog = new Watchdog(LIMITS, (reason) => reasons.push(reason));
  });
  afterEach(() => {
    dog.stop();
    vi.useRealTimers();
  });

  it("bites once when no sign of life came for the time allowed, not before", () => {
    vi.advanceTimersByTime(900);
    expect([reasons, dog.isLate]).toEqual([[], true]);
    dog.seen();
    expect(dog.isLate).toBe(false);
    vi.advanceTimersByTime(1000);
    expect(reasons).toEqual([]);
    vi.advanceTimersByTime(5000);
    expect(reasons).toEqual(["no sign of life for 1100 ms; heartbeatTimeoutMs is 1000"]);
  });

  it("bites when a step runs longer than it may, though the child answers", () => {
    for (const stepMs of [0, 400, 500]) dog.beat(stepMs);
    expect(reasons).toEqual([]);
    dog.beat(501);
    expect(reasons).toEqual(["a step has been running for 501 ms, longer than stepTimeoutMs = 500"]);
  });

  it("lets a host that was itself asleep read its messages first", () => {
    vi.advanceTimersByTime(200);
    vi.setSystemTime(0);
    const jumped = performance.now() + 60_000;
    vi.spyOn(performance, "now").mockReturnValue(jumped);
    vi.advanceTimersToNextTimer();
    expect(reasons).toEqual([]);
    vi.restoreAllMocks();
  });

  it("asks the child for five beats in the shorter limit", () => {
    expect(beatMsOf(LIMITS)).toBe(100);
  });
});

describe("RestartBudget", () => {
  it("restarts a useful child at once, doubles the wait for others, and counts within the window", () => {
    let now = 0;
    const budget = new RestartBudget({ maxRestarts: 8, restartWindowMs: 1000, backoffMs: 10 }, () => now);
    expect(budget.isRecent).toBe(false);
    expect([true, false, false, false, true, false, false].map((useful) => budget.take(useful))).toEqual([0, 10, 20, 40, 0, 10, 20]);
    expect([budget.admits, budget.isRecent]).toEqual([true, true]);
    expect([budget.take(true), budget.take(true), budget.admits]).toEqual([0, undefined, false]);
    now = 1000;
    expect([budget.admits, budget.isRecent]).toEqual([true, false]);
  });

  it("waits 32 times as long at most", () => {
    const budget = new RestartBudget({ maxRestarts: 100, restartWindowMs: 1000, backoffMs: 1 }, () => 0);
    const waits = Array.from({ length: 20 }, () => budget.take(false));
    expect(waits.at(-1)).toBe(32);
  });
});

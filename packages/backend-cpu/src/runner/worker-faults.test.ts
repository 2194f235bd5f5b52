/** A runner's worker that fails in the middle of a step: requests are replayed or end typed, the engine lives on. */
import { describe, expect, it } from "vitest";
import type { EngineEvent, LLMEngine } from "@weir/core";
import { assertIdle, cpuEngine, greedyIds, withEngine } from "../testing-support/cpu-test-engine.js";
import { faultyKernel, type Fault } from "../testing-support/faulty-kernel.js";
import { fixtureFolder } from "../testing-support/test-models.js";

const PROMPTS = [[5, 6, 7], [100, 200, 300, 400, 500], Array.from({ length: 70 }, (_, i) => i * 7 + 3)] as const;
const NUM_NEW = 16;
const SMALL = { model: fixtureFolder("llama"), maxNumSeqs: 8, maxNumBatchedTokens: 64, maxModelLen: 256, kvDtype: "f32" } as const;

const solo = await withEngine(SMALL, async (engine) => {
  const all: number[][] = [];
  for (const prompt of PROMPTS) all.push(await greedyIds(engine, prompt, NUM_NEW));
  return all;
});

describe("a kernel that fails at some steps", () => {
  it.each([
    ["throws", "throw", [0, 4, 9]],
    ["calls process.exit", "exit", [0, 4, 9]],
    ["exhausts its heap", "memory", [4]],
  ] as const)("%s: requests in flight are replayed with the same tokens", async (_, how, failAt) => {
    const { engine, lives, restarts } = await faultyEngine({ how, failAt });
    await expectSolo(engine);
    expect(engine.stats().restarts).toBe(failAt.length);
    expect(restarts()).toBe(failAt.length);
    expect(lives()).toBe(failAt.length + 1);
    await expectSolo(engine);
    await engine.dispose();
  });

  it("a worker that dies of an uncaught exception after its step is found dead by the next one", async () => {
    const { engine, lives } = await faultyEngine({ how: "uncaught", failAt: [NUM_NEW - 1] });
    expect(await greedyIds(engine, PROMPTS[0], NUM_NEW)).toEqual(solo[0]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(lives()).toBe(1);
    await expectSolo(engine);
    expect(lives()).toBe(2);
    await engine.dispose();
  });
});

describe("a kernel that always fails", () => {
  it.each(["throw", "exit"] as const)("by %s: the request ends with EngineRestartedError after a few restarts", async (how) => {
    const { engine, lives } = await faultyEngine({ how, failInLife: 0 });
    await expect(greedyIds(engine, PROMPTS[0], NUM_NEW)).rejects.toMatchObject({ code: "engine_restarted" });
    expect(lives()).toBeLessThanOrEqual(5);
    await engine.drain();
    assertIdle(engine);
    await engine.dispose();
  });

  it("on the second chunk of a prompt: no endless round of restarts", async () => {
    const { engine, lives } = await faultyEngine({ how: "throw", failInLife: 1 });
    await expect(greedyIds(engine, PROMPTS[2], NUM_NEW)).rejects.toMatchObject({ code: "engine_restarted" });
    expect(lives()).toBeLessThanOrEqual(8);
    await engine.dispose();
  }, 10_000);

  it.each(["throw", "exit"] as const)("by %s, and then is well again: new requests are served", async (how) => {
    const { engine } = await faultyEngine({ how, failAt: [0, 1, 2, 3, 4] });
    const failed = greedyIds(engine, PROMPTS[0], NUM_NEW);
    await expect(failed).rejects.toMatchObject({ code: "engine_restarted" });
    await expectSolo(engine);
    await engine.dispose();
  });
});

interface Rig {
  readonly engine: LLMEngine;
  readonly lives: () => number;
  /** engine-restarted events so far */
  readonly restarts: () => number;
}

async function faultyEngine(fault: Fault): Promise<Rig> {
  const { kernel, lives } = faultyKernel(fault);
  const events: EngineEvent[] = [];
  const observers = [{ onEvent: (event: EngineEvent) => void events.push(event) }];
  const engine = await cpuEngine({ ...SMALL, attentionKernel: kernel, observers, cpu: { workerHeapMb: 128 } });
  return { engine, lives, restarts: () => events.filter(({ type }) => type === "engine-restarted").length };
}

/** All at once, then nothing is left. */
async function expectSolo(engine: LLMEngine): Promise<void> {
  expect(await Promise.all(PROMPTS.map((prompt) => greedyIds(engine, prompt, NUM_NEW)))).toEqual(solo);
  await engine.drain();
  assertIdle(engine);
}

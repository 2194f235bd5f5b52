/** Making and ending the CPU backend: options, disposing at every moment, too small a pool. */
import { readdirSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createEngine, type LLMEngine, type LoadProgress } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import { cpuBackend } from "./cpu-backend.js";
import { openAltered } from "./testing-support/altered-weights.js";
import { assertIdle, cpuEngine, greedyIds, TEST_CACHE, tokenEvents } from "./testing-support/cpu-test-engine.js";
import { keptSince, resources } from "./testing-support/resources.js";
import { DEMO_MODEL } from "./testing-support/test-models.js";

const PROMPT = [5, 6, 7];

describe("cpuBackend", () => {
  it.each([
    ["threads", { threads: 0 }],
    ["threads", { threads: 1.5 }],
    ["threads", { threads: 257 }],
    ["workerHeapMb", { workerHeapMb: 1 }],
    ["workerHeapMb", { workerHeapMb: NaN }],
  ])("refuses %s out of range: %j", (name, options) => {
    expect(() => cpuBackend(options)).toThrow(expect.objectContaining({ code: "invalid_options", message: expect.stringContaining(name) }));
  });

  it("gives the same tokens with one thread and with four", async () => {
    const ids: number[][] = [];
    for (const threads of [1, 4]) {
      await using engine = await cpuEngine({ cpu: { threads } });
      ids.push(await greedyIds(engine, PROMPT, 20));
    }
    expect(ids[0]).toEqual(ids[1]);
  });
});

describe("ending an engine on the CPU backend", () => {
  it("by abort while weights are made or loaded gives AbortedError and leaves no thread, handle or half a file", async () => {
    const before = resources();
    for (const stage of ["quantize", "compile"] as const) {
      const cacheDir = await mkdtemp(join(TEST_CACHE, "abort-"));
      const model = await openAltered(DEMO_MODEL);
      const controller = new AbortController();
      const onProgress = (progress: LoadProgress): void => {
        if (progress.stage === stage) controller.abort();
      };
      const loading = cpuEngine({ model, quantize: "int8", signal: controller.signal, onProgress, cpu: { cacheDir } });
      await expect(loading, stage).rejects.toMatchObject({ code: "aborted" });
      await model.weights.close();
      expect(readdirSync(cacheDir).filter((name) => name.endsWith(".tmp"))).toEqual([]);
    }
    expect(await keptSince(before)).toEqual({});
  });

  it("by abort while the model's files are being opened gives AbortedError", async () => {
    const controller = new AbortController();
    await expect(cpuEngine({ signal: controller.signal, onProgress: () => controller.abort() })).rejects.toMatchObject({ code: "aborted" });
  });

  it("by disposing the backend during the load gives AbortedError, and later loads are refused", async () => {
    const before = resources();
    const backend = cpuBackend({ threads: 2, cacheDir: TEST_CACHE });
    const loading = createEngine({ model: DEMO_MODEL, backend, quantize: "int4-g64" });
    const refused = expect(loading).rejects.toMatchObject({ code: "aborted" });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await Promise.all([backend.dispose(), backend.dispose()]);
    await refused;
    await expect(createEngine({ model: DEMO_MODEL, backend })).rejects.toMatchObject({ code: "disposed" });
    expect(await keptSince(before)).toEqual({});
  });

  it("while it generates ends the streams with DisposedError; twice is once; use afterwards is refused", async () => {
    const before = resources();
    const engine = await cpuEngine();
    const streams = [1, 2, 3].map((first) => greedyIds(engine, [first], 500));
    const ends = Promise.allSettled(streams);
    await new Promise((resolve) => setTimeout(resolve, 30));
    await Promise.all([engine.dispose(), engine.dispose()]);
    for (const end of await ends) expect(end).toMatchObject({ status: "rejected", reason: { code: "disposed" } });
    await engine.dispose();
    await expect(greedyIds(engine, PROMPT, 3)).rejects.toMatchObject({ code: "disposed" });
    expect(await keptSince(before)).toEqual({});
  });

  it("by await using, and by disposing a backend that the caller made", async () => {
    let kept: LLMEngine;
    const backend = cpuBackend({ threads: 2, cacheDir: TEST_CACHE });
    {
      await using engine = await createEngine({ model: DEMO_MODEL, backend });
      kept = engine;
      expect(await greedyIds(engine, PROMPT, 3)).toHaveLength(3);
    }
    await expect(greedyIds(kept, PROMPT, 3)).rejects.toMatchObject({ code: "disposed" });
    const model = await openModelFolder(DEMO_MODEL);
    const engine = await createEngine({ model, backend });
    await backend.dispose();
    await expect(greedyIds(engine, PROMPT, 3)).rejects.toMatchObject({ code: "disposed" });
    await engine.dispose();
    await model.weights.close();
  });
});

describe("a KV cache that is too small for everybody", () => {
  it("refuses what could never fit, and carries a storm of streams through by preemption with their solo tokens", async () => {
    // Four blocks: one stream of 64 tokens, or four short ones.
    const engine = await cpuEngine({ maxModelLen: 128, numBlocks: 8, maxNumSeqs: 16 });
    const tooLong = greedyIds(engine, PROMPT, 126);
    await expect(tooLong).rejects.toMatchObject({ code: "context_length" });
    const prompts = Array.from({ length: 16 }, (_, i) => [i + 2, 2 * i + 2, 3 * i + 2]);
    const together = await Promise.all(prompts.map((prompt) => greedyIds(engine, prompt, 100)));
    await engine.drain();
    expect(engine.stats().scheduler.numPreemptions).toBeGreaterThan(5);
    assertIdle(engine);
    for (const [i, prompt] of prompts.entries()) expect(await greedyIds(engine, prompt, 100), `stream ${i}`).toEqual(together[i]);
    await engine.dispose();
  });

  it("lets one request have the whole pool to its last token", async () => {
    await using engine = await cpuEngine({ maxModelLen: 64, numBlocks: 4, maxNumSeqs: 4 });
    const [whole, second] = await Promise.all([greedyIds(engine, PROMPT, 61), greedyIds(engine, [9], 63)]);
    expect([whole.length, second.length]).toEqual([61, 63]);
    expect(await greedyIds(engine, PROMPT, 61)).toEqual(whole);
  });
});

describe("progress of a load", () => {
  it("goes from quantize to compile where weights must be made, and its bytes never shrink within a stage", async () => {
    const model = await openAltered(DEMO_MODEL);
    const cacheDir = await mkdtemp(join(TEST_CACHE, "progress-"));
    const seen: LoadProgress[] = [];
    const engine = await cpuEngine({ model, quantize: "int8", cpu: { cacheDir }, onProgress: (progress) => void seen.push(progress) });
    const stages = [...new Set(seen.map(({ stage }) => stage))];
    expect(stages.filter((stage) => stage !== "ready")).toEqual(["quantize", "compile"]);
    for (const stage of stages) {
      const bytes = seen.filter((each) => each.stage === stage).map(({ bytesDone }) => bytesDone);
      expect(bytes).toEqual(bytes.toSorted((a, b) => a - b));
    }
    expect((await tokenEvents(engine, PROMPT, { maxTokens: 2 })).length).toBe(2);
    await engine.dispose();
    await model.weights.close();
  });
});

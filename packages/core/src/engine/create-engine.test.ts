import { describe, expect, it, vi } from "vitest";
import { PlainResolver } from "../di/resolver.js";
import type { Backend, LoadProgress, Platform } from "../contracts/index.js";
import { PagedBlockManager } from "../kv/index.js";
import { FcfsScheduler } from "../scheduler/index.js";
import { nullBackend } from "../testing/null-backend.js";
import { composeEngine } from "./compose.js";
import { createEngine } from "./create-engine.js";
import type { EngineOptions } from "./engine-options.js";
import { collect, soloTokens, testEngine, testModel, tokenIds } from "./test-engine.js";

const base = { model: testModel(), backend: nullBackend(), maxModelLen: 256 };

describe("createEngine's options", () => {
  it.each<[string, object, RegExp]>([
    ["an unknown key", { maxNumSeq: 4 }, /no option "maxNumSeq"; did you mean maxNumSeqs\?/],
    ["an unknown key like nothing", { zzz: 4 }, /no option "zzz"$/],
    ["no backend", { backend: undefined }, /backend is undefined; it takes a backend such as/],
    ["a backend without methods", { backend: {} }, /backend is an object; it takes an object with loadModel\(\)/],
    ["an empty path", { model: "" }, /model is ""/],
    ["a number for a model", { model: 5 }, /model is 5; it takes a path, or a LoadedModel/],
    ["no sequences", { maxNumSeqs: 0 }, /maxNumSeqs is 0; it takes a whole number from 1 to 4096/],
    ["a fraction", { maxNumBatchedTokens: 1.5 }, /maxNumBatchedTokens is 1.5/],
    ["a text for a number", { blockSize: "16" }, /blockSize is "16"/],
    ["NaN", { kvCacheBytes: NaN }, /kvCacheBytes is NaN/],
    ["a block size the backend lacks", { blockSize: 7 }, /blockSize is 7, but backend null takes 16, 1, 2/],
    ["a scheme the backend lacks", { quantize: "int8" }, /quantize is "int8", but backend null takes f32/],
    ["a KV dtype the backend lacks", { kvDtype: "int8" }, /kvDtype is "int8", but backend null takes f32/],
    [
      "fewer batched tokens than sequences",
      { maxNumSeqs: 64, maxNumBatchedTokens: 32 },
      /maxNumBatchedTokens is 32, less than maxNumSeqs, 64/,
    ],
    ["chunks above the batch", { maxPrefillChunk: 1024 }, /maxPrefillChunk is 1024; it takes at most maxNumBatchedTokens, 512/],
    ["a context beyond the model's", { maxModelLen: 1e6 }, /maxModelLen is 1000000, but the model was made for 4096/],
    ["a pool beyond the memory", { numBlocks: 2 ** 29 }, /needs .* GiB of KV cache/],
    [
      "a class instead of a factory",
      { scheduler: FcfsScheduler },
      /scheduler is a class; pass an instance, or a factory such as \(services\) => new FcfsScheduler/,
    ],
    ["an odd activation", { activations: "int3" }, /activations is "int3"; it takes auto or f32/],
    ["a text for strict", { strict: "yes" }, /strict is "yes"; it takes a boolean/],
    ["observers that observe nothing", { observers: [{}] }, /observers is an array; it takes an array of objects with onEvent/],
    ["a progress observer without next", { progress: {} }, /progress is an object; it takes an observer with next/],
    ["a signal that is none", { signal: {} }, /signal is an object; it takes an AbortSignal/],
  ])("refuses %s before anything is loaded", async (_name, options, message) => {
    const loadModel = vi.spyOn(base.backend, "loadModel");
    const made = createEngine({ ...base, ...options } as EngineOptions);
    await expect(made).rejects.toThrow(message);
    await expect(made).rejects.toMatchObject({ code: "invalid_options" });
    expect(loadModel).not.toHaveBeenCalled();
    loadModel.mockRestore();
  });

  it("refuses a backend made for another version of the contract", async () => {
    const backend: Backend = { ...plain(nullBackend()), apiVersion: 99 };
    await expect(createEngine({ ...base, backend })).rejects.toThrow(/API version 99, this is 1/);
  });

  it("fills in defaults and says what was chosen", async () => {
    const engine = await createEngine({ model: testModel(), backend: nullBackend() });
    expect(engine.info).toMatchObject({ model: "null", backend: "null", weightScheme: "f32", kvDtype: "f32", vocabSize: 676 });
    expect(engine.info.limits).toMatchObject({ maxNumSeqs: 64, maxNumBatchedTokens: 512, blockSize: 16, maxModelLen: 4096 });
    await engine.dispose();
  });

  it("chooses the backend's scheme for auto, its own default where the stored one cannot run", async () => {
    const { capabilities, ...rest } = plain(nullBackend());
    const backend: Backend = { ...rest, capabilities: { ...capabilities, weightSchemes: ["int4-g32", "int8"], autoWeightScheme: "int8" } };
    const auto = await createEngine({ ...base, backend, quantize: "auto" });
    const stored = await createEngine({ ...base, backend });
    expect([auto.info.weightScheme, stored.info.weightScheme]).toEqual(["int8", "int4-g32"]);
    await Promise.all([auto.dispose(), stored.dispose()]);
  });

  it("reports load progress to a function and to an observer", async () => {
    const [called, observed]: LoadProgress[][] = [[], []];
    const engine = await createEngine({
      ...base,
      onProgress: (event) => called!.push(event),
      progress: { next: (event) => observed!.push(event) },
    });
    expect(called).toMatchObject([{ stage: "ready" }]);
    expect(observed).toEqual(called);
    await engine.dispose();
  });
});

describe("createEngine's services", () => {
  it("gives factories the engine's own services, each made once", async () => {
    const blockManagers = new Set<unknown>();
    const engine = await testEngine({
      blockManager: ({ limits }) => new PagedBlockManager(limits),
      scheduler: (services) => {
        blockManagers.add(services.blockManager).add(services.blockManager);
        expect(services.spec.vocabSize).toBe(676);
        expect(services.backend.name).toBe("null");
        expect(services.now()).toBeGreaterThan(0);
        return new FcfsScheduler(services.blockManager, services.schedulerConfig);
      },
    });
    expect(blockManagers.size).toBe(1);
    expect(tokenIds(await collect(engine.generate([1], { maxTokens: 4 })))).toEqual(soloTokens([1], 4));
    await engine.dispose();
  });

  it("names the circle when factories need each other", async () => {
    const made = testEngine({
      blockManager: (services) => new PagedBlockManager({ ...services.limits, numBlocks: services.blockManager.numBlocks }),
    });
    await expect(made).rejects.toThrow(/circle: weir.BlockManager -> weir.BlockManager/);
  });

  it("disposes what it made, last made first, and leaves instances to their owners", async () => {
    const order: string[] = [];
    const noted = <T extends object>(name: string, target: T): T => Object.assign(target, { dispose: () => void order.push(name) });
    const instance = noted("instance", nullBackend());
    const engine = await testEngine({
      backend: () => watchRunners(noted("backend", plain(nullBackend())), order),
      blockManager: ({ limits }) => noted("blockManager", new PagedBlockManager(limits)),
      scheduler: (services) => noted("scheduler", new FcfsScheduler(services.blockManager, services.schedulerConfig)),
    });
    await engine.dispose();
    expect(order).toEqual(["runner", "scheduler", "blockManager", "backend"]);
    const second = await testEngine({ backend: instance });
    await second.dispose();
    expect(order).not.toContain("instance");
  });
});

describe("aborting createEngine", () => {
  const pathOptions = { model: "some-model", backend: nullBackend(), maxModelLen: 64, numBlocks: 64 } satisfies EngineOptions;

  it("at any await point gives one AbortError and leaves nothing open", async () => {
    for (let fault = 0; fault < 8; fault++) {
      const controller = new AbortController();
      let open = 0;
      const backend = watchRunners(plain(nullBackend()), [], (change) => (open += change));
      const made = composeEngine(
        { ...pathOptions, backend, signal: controller.signal },
        new PlainResolver(),
        slowPlatform((change) => (open += change)),
      );
      const outcome = made.then(
        (engine) => engine.dispose().then(() => "made"),
        (error: Error) => error.name,
      );
      for (let turn = 0; turn < fault; turn++) await new Promise(setImmediate);
      controller.abort();
      expect(await outcome).toBe(fault < 4 ? "AbortError" : "made");
      expect(open).toBe(0);
    }
  });

  it("closes what it opened when the backend refuses, and reports the backend's error", async () => {
    let open = 0;
    const backend: Backend = { ...plain(nullBackend()), loadModel: () => Promise.reject(new Error("no device")) };
    await expect(
      composeEngine(
        { ...pathOptions, backend },
        new PlainResolver(),
        slowPlatform((change) => (open += change)),
      ),
    ).rejects.toThrow("no device");
    expect(open).toBe(0);
  });
});

/** Own properties that spread, where the class has getters and methods. */
function plain(backend: Backend): Backend {
  const { name, apiVersion, capabilities } = backend;
  return { name, apiVersion, capabilities, loadModel: (...args) => backend.loadModel(...args), dispose: () => backend.dispose() };
}

/** Takes some turns to load; notes when runners are disposed. */
function watchRunners(backend: Backend, order: string[], count: (change: number) => void = () => {}): Backend {
  const { loadModel } = backend;
  return Object.assign(backend, {
    loadModel: async (...args: Parameters<Backend["loadModel"]>) => {
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      const runner = await loadModel(...args);
      count(1);
      const dispose = runner.dispose.bind(runner);
      return Object.assign(runner, {
        dispose: () => {
          order.push("runner");
          count(-1);
          return dispose();
        },
      });
    },
  });
}

/** Opens any path, in two turns. */
function slowPlatform(count: (change: number) => void): Platform {
  return {
    async openModel(path) {
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      count(1);
      const model = testModel();
      return { ...model, name: path, weights: { ...model.weights, close: async () => count(-1) } };
    },
    availableMemory: () => 2 ** 30,
    now: () => performance.now(),
    yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
  };
}

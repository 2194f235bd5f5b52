import { describe, expect, it, vi } from "vitest";
import * as di from "./di/index.js";
import * as core from "./index.js";
import { nullBackend } from "./testing/null-backend.js";
import { soloTokens, testModel } from "./engine/test-engine.js";

describe("the public API", () => {
  it("of @weir/core exports these names and no others", () => {
    expect(Object.keys(core).sort()).toMatchInlineSnapshot(`
      [
        "AbortedError",
        "ArchitectureRegistry",
        "BACKEND_API_VERSION",
        "BackendUnavailableError",
        "ConfigReader",
        "ContextLengthError",
        "ContiguousBlockManager",
        "CounterRandom",
        "DefaultSampler",
        "DisposedError",
        "EngineRestartedError",
        "EngineSequence",
        "FcfsScheduler",
        "GREEDY_BELOW",
        "InternalError",
        "InvalidOptionsError",
        "InvalidRequestError",
        "LLMEngine",
        "MAX_LOGPROBS",
        "ModelLoadError",
        "NonFiniteLogitsError",
        "NotSupportedError",
        "OutOfBlocksError",
        "PagedBlockManager",
        "PriorityScheduler",
        "ROW_LOGITS",
        "ROW_NONFINITE",
        "ROW_OK",
        "ROW_SAMPLE",
        "StaticBatchScheduler",
        "TimeoutError",
        "TokenStream",
        "WeirError",
        "architectures",
        "builtModule",
        "checkTensors",
        "createEngine",
        "createModelInput",
        "createModelOutput",
        "createModelSpec",
        "createSamplingInput",
        "formatBytes",
        "fromWireError",
        "kvBytesPerToken",
        "modelStats",
        "planMemory",
        "registerArchitecture",
        "ropeTables",
        "sampleRows",
        "toText",
        "toUsage",
        "toWebStream",
        "toWireError",
      ]
    `);
  });

  it("of @weir/core/di exports these names and no others", () => {
    expect(Object.keys(di).sort()).toMatchInlineSnapshot(`
      [
        "ATTENTION_KERNEL",
        "BACKEND",
        "BLOCK_MANAGER",
        "CHAT_TEMPLATE",
        "CLOCK",
        "MODEL_LIMITS",
        "MODEL_SPEC",
        "QUANTIZER",
        "SAMPLER",
        "SCHEDULER",
        "SCHEDULER_CONFIG",
        "TOKENIZER",
        "createEngine",
      ]
    `);
  });
});

describe("two copies of the package in one process", () => {
  it("work side by side, and know each other's errors and tokens", async () => {
    vi.resetModules();
    const other = (await import("./index.js")) as typeof core;
    const otherDi = (await import("./di/index.js")) as typeof di;
    expect(other.createEngine).not.toBe(core.createEngine);
    expect(otherDi.SCHEDULER).toBe(di.SCHEDULER);
    const options = { model: testModel(), maxModelLen: 64, numBlocks: 64 };
    const engines = [
      await core.createEngine({ ...options, backend: nullBackend() }),
      await other.createEngine({ ...options, backend: nullBackend() }),
    ];
    const texts = await Promise.all(engines.map((engine) => engine.generate([1], { maxTokens: 5 }).text()));
    expect(texts[0]).toBe(texts[1]);
    expect(texts[0]).toHaveLength(2 * soloTokens([1], 5).length);
    const error: unknown = await engines[1]!
      .generate([-1])
      .text()
      .catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(core.WeirError);
    expect(core.WeirError.isInstance(error)).toBe(true);
    await Promise.all(engines.map((engine) => engine.dispose()));
  });
});

/** Engines over the graph on the stand-in: both block managers, preemption, forks, copy-on-write, recovery, disposal. */
import { NO_ADAPTER } from "./testing-support/software-adapter.js";
import { ContiguousBlockManager, createEngine, type EngineOptions, type LLMEngine, type LoadProgress } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import { assertIdle, greedyIds, tokenIdsOf } from "@weir/core/testing";
import { loadOrtLibrary } from "@weir/ort";
import { afterAll, describe, expect, it } from "vitest";
import { testBackend } from "./testing-support/stand-in.js";
import { best, forcedLogits } from "./testing-support/teacher-forcing.js";
import { prefillInput } from "./testing-support/prefill-input.js";
import { expectedCases, fixtureFolder } from "./testing-support/test-models.js";

const MODEL = fixtureFolder("llama");
const PROMPTS = expectedCases("llama").map(({ prompt_ids }) => prompt_ids);
/** Two candidates closer than this may change places in 16-bit arithmetic. */
const NEAR_TIE = 0.02;

describe.skipIf(NO_ADAPTER)(`engines over the graph${NO_ADAPTER ? ` (${NO_ADAPTER})` : ""}`, () => {
  afterAll(() => expect(loadOrtLibrary().handles.live()).toBe(0));

  it("carry more streams than the pool holds through by preemption", async () => {
    await using engine = await makeEngine({ numBlocks: 14 });
    const outputs = await Promise.all(PROMPTS.map((prompt) => greedyIds(engine, prompt, 40)));
    await engine.drain();
    expect(engine.stats().scheduler.numPreemptions).toBeGreaterThan(0);
    for (const [i, prompt] of PROMPTS.entries()) await expectOwnChoice(engine, prompt, outputs[i]!);
    assertIdle(engine);
  });

  it("run with the contiguous block manager", async () => {
    await using engine = await makeEngine({ blockManager: ({ limits }) => new ContiguousBlockManager(limits) });
    const outputs = await Promise.all(PROMPTS.map((prompt) => greedyIds(engine, prompt, 12)));
    for (const [i, prompt] of PROMPTS.entries()) await expectOwnChoice(engine, prompt, outputs[i]!);
    assertIdle(engine);
  });

  it("fork running requests, which then write copies of the blocks that they share", async () => {
    await using engine = await makeEngine({});
    const prompt = PROMPTS[2]!;
    const forks: Promise<number[]>[] = [];
    const parent: number[] = [];
    let shared = 0;
    for await (const event of engine.generate([...prompt], { requestId: "parent", maxTokens: 24, ignoreEos: true })) {
      if (event.type !== "token") continue;
      parent.push(event.id);
      if (parent.length === 3) {
        // One goes the parent's way, one another; neither may write into the parent's last block.
        forks.push(tokenIdsOf(engine.fork("parent", { maxTokens: 12, ignoreEos: true })));
        forks.push(tokenIdsOf(engine.fork("parent", { maxTokens: 12, ignoreEos: true, temperature: 1, seed: 5 })));
      }
      shared = Math.max(shared, engine.stats().blocks.numSharedBlocks);
    }
    const [same, other] = await Promise.all(forks);
    expect(shared).toBeGreaterThan(0);
    await expectOwnChoice(engine, prompt, parent);
    await expectOwnChoice(engine, [...prompt, ...parent.slice(0, 3)], same!);
    expect(other).toHaveLength(12);
    expect(other).not.toEqual(same);
    assertIdle(engine);
  });

  it("leave the caller's event loop free, recover to the same numbers, and refuse steps once disposed", async () => {
    const model = await openModelFolder(MODEL);
    const backend = testBackend();
    const limits = { maxModelLen: 128, maxNumSeqs: 2, maxNumBatchedTokens: 128, blockSize: 16, numBlocks: 16 };
    const runner = await backend.loadModel(model.spec, model.weights, { limits, kvDtype: "f16", weightScheme: "f16" });
    const input = prefillInput(limits, PROMPTS[3]!);
    const running = runner.execute(input);
    const end = running.then(() => "end");
    let turns = 0;
    while ((await Promise.race([end, nextTurn()])) !== "end") turns++;
    const first = (await running).logits.slice(0, model.spec.vocabSize);
    expect(turns).toBeGreaterThan(20);
    await runner.recover!();
    expect((await runner.execute(input)).logits.slice(0, model.spec.vocabSize)).toEqual(first);
    expect(runner.memory()).toMatchObject({ kvReservedBytes: 16 * runner.blockBytes, kvCommittedBytes: 16 * runner.blockBytes });
    input.slotMapping[5] = -1;
    await expect(runner.execute(input)).rejects.toMatchObject({ code: "not_supported" });
    await expect(runner.copyBlocks(Int32Array.of(0, 16))).rejects.toMatchObject({ code: "internal" });
    await backend.dispose();
    await expect(runner.execute(input)).rejects.toMatchObject({ code: "disposed" });
    await expect(runner.recover!()).rejects.toMatchObject({ code: "disposed" });
    await model.weights.close();
  });

  it("pass on what an injected attention refuses, and never let the CPU step in for a missing kernel", async () => {
    const kernel = (emit: string) => ({
      name: "picky",
      backend: "cuda" as const,
      module: `data:text/javascript,export const createGraphAttention=()=>({emit(graph,layer,values){${encodeURIComponent(emit)}}})`,
    });
    const refusing = kernel("throw new Error('not this layer')");
    await expect(makeEngine({ attentionKernel: refusing })).rejects.toThrow("not this layer");
    // 96 of the 160 columns; the CPU has a kernel for Shrink in f16, WebGPU has none.
    const cut = "const cut=graph.node('MatMul',[values.qkv,graph.constant('cut',[160,96],new Float32Array(160*96))]);";
    const cpuOnly = kernel(`${cut}return graph.node('Shrink',[cut])`);
    await expect(makeEngine({ attentionKernel: cpuOnly })).rejects.toMatchObject({
      code: "model_load",
      message: expect.stringMatching(/CPU/),
    });
  });

  it("say when the device has no room for the cache", async () => {
    const model = await openModelFolder(MODEL);
    const backend = testBackend();
    // 3 GB in each of six tensors; asked of the backend itself, since the engine would look at the host's memory first.
    const limits = { maxModelLen: 128, maxNumSeqs: 2, maxNumBatchedTokens: 128, blockSize: 16, numBlocks: 3_000_000 };
    await expect(backend.loadModel(model.spec, model.weights, { limits, kvDtype: "f16", weightScheme: "f16" })).rejects.toMatchObject({
      code: "backend_unavailable",
      message: expect.stringMatching(/no room for the KV cache.*lower kvCacheBytes, numBlocks/s),
    });
    await backend.dispose();
    await model.weights.close();
  });

  it("end a load that is aborted, or whose backend is disposed, with AbortedError", async () => {
    const aborted = new AbortController();
    await expect(makeEngine({ signal: aborted.signal, onProgress: () => aborted.abort() })).rejects.toMatchObject({ code: "aborted" });
    const backend = testBackend();
    let disposed: Promise<void> | undefined;
    // The backend's own; "open" is the model folder's.
    const onProgress = ({ stage }: LoadProgress): void => void (stage !== "open" && (disposed ??= backend.dispose()));
    const loading = createEngine({ model: MODEL, backend, maxModelLen: 128, numBlocks: 16, onProgress });
    await expect(loading).rejects.toMatchObject({ code: "aborted" });
    await disposed;
  });
});

/** Of the event loop. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function makeEngine(options: Partial<EngineOptions>): Promise<LLMEngine> {
  return createEngine({ model: MODEL, backend: () => testBackend(), maxModelLen: 128, maxNumSeqs: 4, numBlocks: 64, ...options });
}

/** Alone, the engine would have chosen these tokens too, but for near-ties. */
async function expectOwnChoice(engine: LLMEngine, prompt: readonly number[], ids: readonly number[]): Promise<void> {
  const rows = await forcedLogits(engine, prompt, ids);
  expect(rows).toHaveLength(ids.length);
  rows.forEach((row, i) => expect(row[best(row)]! - row[ids[i]!]!, `prompt of ${prompt.length}, token ${i}`).toBeLessThanOrEqual(NEAR_TIE));
}

import { afterEach, describe, expect, it } from "vitest";
import { FcfsScheduler, PriorityScheduler, StaticBatchScheduler } from "../scheduler/index.js";
import { ContiguousBlockManager, PagedBlockManager } from "../kv/index.js";
import type { Backend, TokenEvent } from "../contracts/index.js";
import { nullBackend } from "../testing/null-backend.js";
import {
  collect,
  EngineRig,
  joinedText,
  scriptedSampler,
  soloTokens,
  tokenIds,
  VOCABULARY,
  type TestEngineOptions,
} from "./test-engine.js";
import type { LLMEngine } from "./llm-engine.js";

const rig = new EngineRig();
const engineFor = (options?: TestEngineOptions): Promise<LLMEngine> => rig.engine(options);

afterEach(async () => expect(await rig.finish()).toEqual([]));

describe("LLMEngine", () => {
  it("streams queued, prefill, tokens and end in order, with usage and times", async () => {
    const engine = await engineFor({ maxNumSeqs: 2, maxNumBatchedTokens: 4 });
    const events = await collect(engine.generate([1, 2, 3, 4, 5, 6], { maxTokens: 3 }));
    expect(events.map((event) => event.type)).toEqual([
      "request-queued",
      "prefill-progress",
      "prefill-progress",
      "token",
      "token",
      "token",
      "request-end",
    ]);
    expect(events[1]).toMatchObject({ computedTokens: 4, promptTokens: 6 });
    expect(tokenIds(events)).toEqual(soloTokens([1, 2, 3, 4, 5, 6], 3));
    expect(events.flatMap((event) => (event.type === "token" ? [event.index] : []))).toEqual([0, 1, 2]);
    expect(events.at(-1)).toMatchObject({
      finishReason: "length",
      usage: { promptTokens: 6, completionTokens: 3, totalTokens: 9, cachedTokens: 0 },
    });
    const { timings } = events.at(-1) as Extract<TokenEvent, { type: "request-end" }>;
    expect(timings.queued + timings.prefill + timings.decode).toBeCloseTo(timings.total, 6);
    expect(Math.min(...Object.values(timings))).toBeGreaterThanOrEqual(0);
  });

  it("gives 64 streams with random arrivals, lengths and cancels the tokens of their solo runs", async () => {
    const engine = await engineFor({ maxNumSeqs: 16, maxNumBatchedTokens: 48 });
    let state = 7;
    const random = (below: number): number => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) % below;
    const runs = Array.from({ length: 64 }, async (_, stream) => {
      const prompt = Array.from({ length: 1 + random(60) }, () => random(VOCABULARY.length));
      const maxTokens = 1 + random(80);
      const keep = stream % 5 === 0 ? 1 + random(maxTokens) : Infinity;
      for (let turns = random(20); turns > 0; turns--) await new Promise(setImmediate);
      const got: number[] = [];
      for await (const event of engine.generate(prompt, { maxTokens })) {
        if (event.type === "token" && got.push(event.id) >= keep) break;
      }
      expect(got).toEqual(soloTokens(prompt, Math.min(maxTokens, keep)));
    });
    await Promise.all(runs);
  });

  it.each([
    ["FCFS over a contiguous pool", { scheduler: FcfsScheduler, blockManager: ContiguousBlockManager }],
    ["priority over pages", { scheduler: PriorityScheduler, blockManager: PagedBlockManager }],
    ["static batches over pages", { scheduler: StaticBatchScheduler, blockManager: PagedBlockManager }],
  ])("gives the same tokens with %s", async (_name, { scheduler, blockManager }) => {
    const engine = await engineFor({
      scheduler: (services) => new scheduler(services.blockManager, services.schedulerConfig),
      blockManager: (services) => new blockManager(services.limits),
    });
    const prompts = Array.from({ length: 8 }, (_, i) => Array.from({ length: 3 + 5 * i }, (_, j) => i + j));
    const results = await Promise.all(prompts.map((prompt) => collect(engine.generate(prompt, { maxTokens: 10 + prompt.length }))));
    results.forEach((events, i) => expect(tokenIds(events)).toEqual(soloTokens(prompts[i]!, 10 + prompts[i]!.length)));
  });

  it("keeps a request's output when it is preempted for lack of blocks", async () => {
    const engine = await engineFor({ numBlocks: 12, maxModelLen: 40 });
    const prompts = Array.from({ length: 6 }, (_, i) => [i, i + 1, i + 2, i + 3, i + 4]);
    const results = await Promise.all(prompts.map((prompt) => collect(engine.generate(prompt, { maxTokens: 30 }))));
    results.forEach((events, i) => expect(tokenIds(events)).toEqual(soloTokens(prompts[i]!, 30)));
    expect(results.flat().some((event) => event.type === "request-preempted")).toBe(true);
    expect(engine.stats().scheduler.numPreemptions).toBeGreaterThan(0);
  });

  it("gets every request through a pool as large as one of them", async () => {
    const engine = await engineFor({ numBlocks: 10, maxModelLen: 40 });
    const prompts = Array.from({ length: 20 }, (_, i) => Array.from({ length: 1 + (i % 7) }, (_, j) => i + j));
    const results = await Promise.all(prompts.map((prompt) => collect(engine.generate(prompt, { maxTokens: 40 - prompt.length }))));
    results.forEach((events, i) => expect(tokenIds(events)).toEqual(soloTokens(prompts[i]!, 40 - prompts[i]!.length)));
  });

  it("gives seeded samples that neither the batch, nor preemption, nor a restart changes", async () => {
    const run = async (engine: LLMEngine, seed: number): Promise<number[]> =>
      tokenIds(await collect(engine.generate([seed, 1, 2], { maxTokens: 25, temperature: 1.5, topK: 50, seed })));
    const alone = await engineFor({ backend: withoutSampling(nullBackend()) });
    const expected: number[][] = [];
    for (let seed = 0; seed < 6; seed++) expected.push(await run(alone, seed));
    expect(expected[0]).not.toEqual(soloTokens([0, 1, 2], 25));
    const crowded = await engineFor({ backend: withoutSampling(nullBackend({ failAt: [5, 20] })), numBlocks: 12, maxModelLen: 40 });
    expect(await Promise.all(expected.map((_, seed) => run(crowded, seed)))).toEqual(expected);
    expect(crowded.stats().restarts).toBe(2);
    expect(crowded.stats().scheduler.numPreemptions).toBeGreaterThan(0);
  });

  it("ends before a stop string that crosses tokens, and keeps it when asked to", async () => {
    const ids = ["th", "es", "to", "pq", "rs"].map((pair) => VOCABULARY.indexOf(pair));
    const engine = await engineFor({ sampler: scriptedSampler(ids) });
    const stopped = await collect(engine.generate([1], { maxTokens: 5, stop: ["stop", "zz"] }));
    expect(joinedText(stopped)).toBe("the");
    expect(stopped.at(-1)).toMatchObject({ finishReason: "stop-string", usage: { completionTokens: 4 } });
    const kept = await collect(engine.generate([1], { maxTokens: 5, stop: "stop", includeStopString: true }));
    expect(joinedText(kept)).toBe("thestop");
    const whole = await collect(engine.generate([1], { maxTokens: 5, stop: "rsX" }));
    expect(joinedText(whole)).toBe("thestopqrs");
    expect(whole.at(-1)).toMatchObject({ finishReason: "length" });
  });

  it("stops at the model's end token and at the request's own, whose text is left out", async () => {
    const ids = [5, 6, 7, 8];
    const engine = await engineFor({ spec: { eosTokenIds: [7] }, sampler: scriptedSampler(ids) });
    const ended = await collect(engine.generate([1]));
    expect(tokenIds(ended)).toEqual([5, 6, 7]);
    expect(joinedText(ended)).toBe(VOCABULARY[5]! + VOCABULARY[6]!);
    expect(ended.at(-1)).toMatchObject({ finishReason: "stop" });
    expect(tokenIds(await collect(engine.generate([1], { stopTokenIds: [6] })))).toEqual([5, 6]);
    expect(tokenIds(await collect(engine.generate([1], { maxTokens: 6, ignoreEos: true })))).toEqual([5, 6, 7, 8, 5, 6]);
  });

  it("lowers minTokens to a ban of the stop ids and looks for no stop string before", async () => {
    const [eos, other] = [3, 4];
    const engine = await engineFor({
      spec: { eosTokenIds: [eos] },
      sampler: {
        name: "prefers-eos",
        sample: (_logits, params, row, out) => {
          const banned = params.biasIds.subarray(params.cuBias[row], params.cuBias[row + 1]).includes(eos);
          out.tokenIds[row] = banned ? other : eos;
        },
      },
    });
    expect(tokenIds(await collect(engine.generate([1], { minTokens: 3 })))).toEqual([other, other, other, eos]);
    const text = VOCABULARY[eos]!;
    const stopped = await collect(engine.generate([1], { minTokens: 2, maxTokens: 5, stop: text, ignoreEos: true }));
    expect(joinedText(stopped)).toBe(text + text);
    expect(stopped.at(-1)).toMatchObject({ finishReason: "stop-string" });
  });

  it("gives logprobs, the best alternatives and the first position's raw logits", async () => {
    const engine = await engineFor();
    const events = await collect(engine.generate([1, 2], { maxTokens: 2, logprobs: 3, fullLogits: true }));
    const [first, second] = events.filter((event) => event.type === "token");
    expect(first!.logits).toHaveLength(VOCABULARY.length);
    expect(first!.logits!.indexOf(Math.max(...first!.logits!))).toBe(first!.id);
    expect(second!.logits).toBeUndefined();
    expect(first!.top!.map(({ id }) => id)[0]).toBe(first!.id);
    expect(first!.top).toHaveLength(3);
    expect(first!.logprob).toBeCloseTo(first!.top![0]!.logprob, 6);
    const plain = await collect(engine.generate([1, 2], { maxTokens: 1 }));
    expect(plain.find((event) => event.type === "token")).not.toHaveProperty("logprob");
  });

  it("runs logits processors on the caller's thread, after bias, with their time in stats()", async () => {
    const engine = await engineFor();
    const seen: { ids: number[]; numPrompt: number; biased: number }[] = [];
    const processor = {
      name: "force-9",
      process: (logits: Float32Array, ids: Int32Array, numPrompt: number) => {
        seen.push({ ids: [...ids], numPrompt, biased: logits[5]! });
        logits.fill(-Infinity);
        logits[9] = 0;
      },
    };
    const options = { maxTokens: 2, logitsProcessors: [processor], logitBias: { 5: -Infinity } };
    const [forced, plain] = await Promise.all([
      collect(engine.generate([1, 2], options)),
      collect(engine.generate([1, 2], { maxTokens: 2 })),
    ]);
    expect(tokenIds(forced)).toEqual([9, 9]);
    expect(tokenIds(plain)).toEqual(soloTokens([1, 2], 2));
    expect(seen.map(({ ids, numPrompt }) => ({ ids, numPrompt }))).toEqual([
      { ids: [1, 2], numPrompt: 2 },
      { ids: [1, 2, 9], numPrompt: 2 },
    ]);
    expect(seen[0]!.biased).toBe(-Infinity);
    expect(engine.stats().milliseconds.userCode).toBeGreaterThan(0);
  });

  it("samples itself where a backend does not", async () => {
    const engine = await engineFor({ backend: withoutSampling(nullBackend()) });
    expect(tokenIds(await collect(engine.generate([4, 5], { maxTokens: 6 })))).toEqual(soloTokens([4, 5], 6));
  });

  it("forks a running request, sharing its blocks", async () => {
    const engine = await engineFor();
    const prompt = [1, 2, 3, 4, 5, 6, 7];
    let fork: Promise<TokenEvent[]> | undefined;
    let tokensAtFork = 0;
    let mostShared = 0;
    engine.events$.subscribe(() => (mostShared = Math.max(mostShared, engine.stats().blocks.numSharedBlocks)));
    const got: number[] = [];
    for await (const event of engine.generate(prompt, { requestId: "parent", maxTokens: 40 })) {
      if (event.type !== "token") continue;
      got.push(event.id);
      if (got.length === 9) {
        tokensAtFork = got.length;
        fork = collect(engine.fork("parent", { maxTokens: 12 }));
      }
    }
    expect(got).toEqual(soloTokens(prompt, 40));
    const child = await fork!;
    expect(child[0]).toMatchObject({ type: "request-queued" });
    const { promptTokens } = child[0] as Extract<TokenEvent, { type: "request-queued" }>;
    expect(promptTokens).toBeGreaterThanOrEqual(prompt.length + tokensAtFork);
    expect(tokenIds(child)).toEqual(got.slice(promptTokens - prompt.length, promptTokens - prompt.length + 12));
    expect(mostShared).toBeGreaterThan(0);
    expect((child.at(-1) as Extract<TokenEvent, { type: "request-end" }>).usage.cachedTokens).toBeGreaterThan(0);
  });

  it("forks by copying where blocks cannot be shared, twice over", async () => {
    const engine = await engineFor({ blockManager: ({ limits }) => new ContiguousBlockManager(limits) });
    const forks: Promise<TokenEvent[]>[] = [];
    for await (const event of engine.generate([1, 2, 3], { requestId: "parent", maxTokens: 30 })) {
      if (event.type !== "token" || event.index !== 8) continue;
      forks.push(collect(engine.fork("parent", { requestId: "child", maxTokens: 20 })), collect(engine.fork("parent", { maxTokens: 10 })));
    }
    for (const fork of forks) {
      const events = await fork;
      const { promptTokens } = events[0] as Extract<TokenEvent, { type: "request-queued" }>;
      const { usage } = events.at(-1) as Extract<TokenEvent, { type: "request-end" }>;
      expect(usage.cachedTokens).toBe(promptTokens - 1);
      const all = soloTokens([1, 2, 3], 60);
      expect(tokenIds(events)).toEqual(all.slice(promptTokens - 3, promptTokens - 3 + usage.completionTokens));
    }
    await expect(collect(engine.fork("nobody"))).rejects.toThrow(/no request "nobody" is running/);
  });

  it("reads prompts as text, ids or messages", async () => {
    const engine = await engineFor({
      chatTemplate: { render: (messages) => ({ text: messages.map(({ content }) => content).join(""), contentSpans: [] }) },
    });
    const ids = [...engine.encode("toks")];
    const expected = soloTokens(ids, 3);
    expect(tokenIds(await collect(engine.generate("toks", { maxTokens: 3 })))).toEqual(expected);
    expect(tokenIds(await collect(engine.generate(Int32Array.from(ids), { maxTokens: 3 })))).toEqual(expected);
    const messages = [{ role: "user", content: "toks" }];
    expect(tokenIds(await collect(engine.generate(messages, { maxTokens: 3 })))).toEqual(expected);
    expect(tokenIds(await collect(engine.chat(messages, { maxTokens: 3, templateVariables: { a: 1 } })))).toEqual(expected);
  });

  it("tells engine events to subscribers and observers alike, one terminal event per request", async () => {
    const observed: string[] = [];
    const engine = await engineFor({ observers: [{ onEvent: (event) => observed.push(event.type) }] });
    const subscribed: string[] = [];
    engine.events$.subscribe((event) => subscribed.push(event.type));
    await engine.generate([1], { maxTokens: 2 }).text();
    expect(observed).toEqual(subscribed);
    expect(observed.slice(0, 2)).toEqual(["request-queued", "request-scheduled"]);
    expect(observed.filter((type) => type === "request-end")).toHaveLength(1);
    expect(observed.filter((type) => type === "step-end")).toHaveLength(2);
  });
});

/** Its rows come back as logits. */
function withoutSampling(base: Backend): Backend {
  const { name, apiVersion, capabilities } = base;
  const loadModel: Backend["loadModel"] = (...args) => base.loadModel(...args);
  return { name, apiVersion, capabilities: { ...capabilities, sampling: false }, loadModel, dispose: () => base.dispose() };
}

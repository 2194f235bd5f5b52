/** Requests that go on behind output which an earlier life of the engine made. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { GenerateOptions, TokenEvent } from "../contracts/index.js";
import { DefaultSampler } from "../sampling/index.js";
import type { LLMEngine } from "./llm-engine.js";
import { collect, EngineRig, joinedText, soloTokens, tokenIds } from "./test-engine.js";

const rig = new EngineRig();
beforeEach(() => rig.watch());
afterEach(async () => expect(await rig.finish()).toEqual([]));

const PROMPT = [1, 2, 3, 4, 5, 6, 7];

function resume(engine: LLMEngine, options: GenerateOptions, outputTokenIds: readonly number[]): Promise<TokenEvent[]> {
  return new Promise((resolve, reject) => {
    const events: TokenEvent[] = [];
    const sink = { next: (event: TokenEvent) => void events.push(event), error: reject, complete: () => resolve(events) };
    engine.submit({ prompt: PROMPT, options, outputTokenIds }, sink);
  });
}

describe("a resumed request", () => {
  const stop = ["ab", "ba"];
  it.each<[string, GenerateOptions]>([
    ["greedy", { maxTokens: 30 }],
    [
      "seeded, with penalties",
      { maxTokens: 30, temperature: 1.5, seed: 7, repetitionPenalty: 1.3, presencePenalty: 0.5, frequencyPenalty: 0.3 },
    ],
    ["that stops at a stop string", { maxTokens: 200, temperature: 3, seed: 5, stop, minTokens: 3 }],
    ["that keeps its stop string", { maxTokens: 200, temperature: 3, seed: 6, stop, includeStopString: true }],
    [
      "that must not stop early",
      { maxTokens: 40, temperature: 2, seed: 8, stopTokenIds: Array.from({ length: 64 }, (_, i) => i), minTokens: 20 },
    ],
    ["with logprobs", { maxTokens: 12, logprobs: 3 }],
  ])("%s goes on token by token and letter by letter wherever it was cut", async (_, options) => {
    const engine = await rig.engine({ sampler: new DefaultSampler(), maxPrefillChunk: 5 });
    const whole = await collect(engine.generate(PROMPT, options));
    const tokens = whole.filter((event) => event.type === "token");
    for (let cut = 0; cut < tokens.length; cut++) {
      const rest = await resume(engine, options, tokenIds(tokens.slice(0, cut)));
      const seen = [...tokens.slice(0, cut), ...rest];
      expect(rest.filter((event) => event.type === "token")).toEqual(
        tokens.slice(cut).map((event) => ({ ...event, requestId: rest[0]!.requestId })),
      );
      expect(joinedText(seen)).toBe(joinedText(whole));
      expect(rest.at(-1)).toMatchObject({
        finishReason: whole.at(-1)!.type === "request-end" && (whole.at(-1) as { finishReason: string }).finishReason,
      });
      expect(rest.at(-1)).toMatchObject({ usage: (whole.at(-1) as { usage: object }).usage });
      expect(rest.some((event) => event.type === "prefill-progress")).toBe(cut === 0);
    }
    expect(tokens.length).toBeGreaterThan(3);
  });

  it("that has all its tokens already is refused", async () => {
    const engine = await rig.engine();
    await expect(resume(engine, { maxTokens: 2 }, [1, 2])).rejects.toMatchObject({ code: "invalid_request" });
  });

  it("shares a parent's blocks, where the parent has gone on since as well", async () => {
    const engine = await rig.engine({ maxModelLen: 64 });
    const parent = engine.generate(PROMPT, { maxTokens: 40, requestId: "parent" });
    const events: TokenEvent[] = [];
    const child = await new Promise<TokenEvent[]>((resolve, reject) => {
      const collected: TokenEvent[] = [];
      const sink = { next: (event: TokenEvent) => void collected.push(event), error: reject, complete: () => resolve(collected) };
      parent.subscribe((event) => {
        events.push(event);
        if (event.type !== "token" || event.index !== 9) return;
        const prompt = [...PROMPT, ...tokenIds(events).slice(0, 5)];
        engine.submit({ prompt, options: { maxTokens: 6 }, parentRequestId: "parent" }, sink);
      });
    });
    expect(tokenIds(child)).toEqual(tokenIds(events).slice(5, 11));
  });
});

describe("a parent that is not one", () => {
  it.each<[string, number[], number[]]>([
    ["has other tokens", [9, 9, 9, 9, 9, 9], []],
    ["went another way since", PROMPT, [600, 601, 602, 603, 604]],
  ])("because it %s shares nothing", async (_, prompt, outputTokenIds) => {
    const engine = await rig.engine();
    const child = await new Promise<TokenEvent[]>((resolve, reject) => {
      const collected: TokenEvent[] = [];
      const sink = { next: (event: TokenEvent) => void collected.push(event), error: reject, complete: () => resolve(collected) };
      engine.generate(PROMPT, { maxTokens: 40, requestId: "parent" }).subscribe((event) => {
        if (event.type !== "token" || event.index !== 12) return;
        engine.submit({ prompt, options: { maxTokens: outputTokenIds.length + 6 }, outputTokenIds, parentRequestId: "parent" }, sink);
      });
    });
    expect(tokenIds(child)).toEqual(soloTokens([...prompt, ...outputTokenIds], 6));
  });
});

describe("dispose with drainMs", () => {
  it("lets running requests end and refuses new ones meanwhile", async () => {
    const engine = await rig.engine();
    const running = collect(engine.generate(PROMPT, { maxTokens: 50 }));
    await new Promise((resolve) => setImmediate(resolve));
    const disposed = engine.dispose({ drainMs: 60_000 });
    await expect(engine.generate(PROMPT).text()).rejects.toMatchObject({ code: "disposed" });
    expect(tokenIds(await running)).toHaveLength(50);
    await disposed;
  });

  it("fails what is left when the time is over", async () => {
    const engine = await rig.engine();
    const paused = engine.generate(PROMPT, { maxTokens: 500, bufferLimit: 1 }).events();
    await paused.next();
    await engine.dispose({ drainMs: 20 });
    await expect(collect({ [Symbol.asyncIterator]: () => paused })).rejects.toMatchObject({ code: "disposed" });
  });
});

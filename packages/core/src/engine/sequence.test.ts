import { describe, expect, it } from "vitest";
import { InternalError } from "../errors/index.js";
import { EngineSequence } from "./sequence.js";

describe("EngineSequence", () => {
  it("starts as its prompt, waiting, with no blocks and nothing computed", () => {
    const seq = new EngineSequence({ seqId: 7, promptTokenIds: [3, 1, 2], maxTokens: 5 });
    expect([...seq.tokenIds.subarray(0, seq.numTokens)]).toEqual([3, 1, 2]);
    expect(seq).toMatchObject({
      requestId: "seq-7",
      status: "waiting",
      paused: false,
      priority: 0,
    });
    expect([seq.numPromptTokens, seq.numOutputTokens, seq.numComputedTokens, seq.numBlocks]).toEqual([3, 0, 0, 0]);
  });

  it("keeps every appended id while its array grows, and never grows beyond maxTokens", () => {
    const seq = new EngineSequence({ seqId: 0, promptTokenIds: [9], maxTokens: 1000 });
    for (let i = 1; i < 1000; i++) seq.append(i);
    expect(seq.numTokens).toBe(1000);
    expect([...seq.outputTokenIds]).toEqual(Array.from({ length: 999 }, (_, i) => i + 1));
    expect(seq.tokenIds.length).toBe(1000);
    expect(() => seq.append(1)).toThrow(InternalError);
  });

  it("refuses a prompt that is empty or longer than maxTokens", () => {
    expect(() => new EngineSequence({ seqId: 0, promptTokenIds: [], maxTokens: 5 })).toThrow(/prompt of 0 tokens/);
    expect(() => new EngineSequence({ seqId: 0, promptTokenIds: [1, 2], maxTokens: 1 })).toThrow(/maxTokens = 1/);
  });

  it("copies the prompt", () => {
    const prompt = Int32Array.of(1, 2);
    const seq = new EngineSequence({ seqId: 0, promptTokenIds: prompt, maxTokens: 4 });
    prompt[0] = 99;
    expect(seq.tokenIds[0]).toBe(1);
  });
});

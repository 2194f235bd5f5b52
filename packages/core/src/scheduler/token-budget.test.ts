import { describe, expect, it } from "vitest";
import type { SchedulerConfig } from "../contracts/index.js";
import { EngineSequence } from "../engine/sequence.js";
import { InvalidOptionsError } from "../errors/index.js";
import { RunningBatch } from "./running-batch.js";
import { ARRIVAL_ORDER } from "./sequence-order.js";
import { TokenBudget } from "./token-budget.js";

const CONFIG: SchedulerConfig = { maxNumSeqs: 16, maxNumBatchedTokens: 16, maxPrefillChunk: 16 };

/** One sequence per entry, with that many tokens still to run. */
function batchOf(remaining: readonly number[]): RunningBatch {
  const batch = new RunningBatch(ARRIVAL_ORDER);
  for (const [seqId, n] of remaining.entries()) {
    batch.insert(new EngineSequence({ seqId, promptTokenIds: new Int32Array(n), maxTokens: 20_000 }));
  }
  return batch;
}

function split(budget: TokenBudget, batch: RunningBatch, newcomerWants = 0): number[] {
  budget.nextStep();
  budget.measure(batch);
  budget.split(batch, newcomerWants);
  return [...budget.numTokens.subarray(0, batch.size)];
}

describe("TokenBudget", () => {
  it("serves decodes first, then prefill in order, a chunk each", () => {
    const budget = new TokenBudget({ ...CONFIG, maxPrefillChunk: 6 });
    expect(split(budget, batchOf([10, 1, 1, 9, 9]))).toEqual([6, 1, 1, 6, 2]);
    expect([budget.left, budget.numActive, budget.numOwed]).toEqual([0, 5, 4 + 3 + 7]);
  });

  it("keeps an eighth of the budget for prefill, whatever the number of decodes", () => {
    const budget = new TokenBudget({ ...CONFIG, maxNumSeqs: 100 });
    const remaining = [...Array.from({ length: 40 }, () => 1), 50];
    const tokens = split(budget, batchOf(remaining));
    expect(tokens.at(-1)).toBe(2);
    expect(tokens.reduce((sum, n) => sum + n, 0)).toBe(16);
  });

  it("keeps it for a newcomer as well, and gives all to decodes when there is no prefill", () => {
    const decodes = batchOf(Array.from({ length: 40 }, () => 1));
    const budget = new TokenBudget({ ...CONFIG, maxNumSeqs: 100 });
    split(budget, decodes, 30);
    expect(budget.left).toBe(2);
    split(budget, decodes, 1);
    expect(budget.left).toBe(1);
    split(budget, decodes);
    expect(budget.left).toBe(0);
  });

  it("lets decodes take turns: each of D runs once in ceil(D / rest) steps, though members leave and join", () => {
    const budget = new TokenBudget({ ...CONFIG, maxNumBatchedTokens: 8, maxNumSeqs: 100 });
    const batch = batchOf([...Array.from({ length: 20 }, () => 1), 10_000]);
    const waited = new Map(batch.members.map((seq) => [seq, 0]));
    for (let step = 0; step < 200; step++) {
      if (step % 17 === 16) {
        const leaving = batch.members[(step * 7) % 20]!;
        batch.remove(leaving);
        waited.delete(leaving);
        const joining = new EngineSequence({
          seqId: 100 + step,
          promptTokenIds: [0],
          maxTokens: 10,
        });
        batch.insert(joining);
        waited.set(joining, 0);
      }
      const tokens = split(budget, batch);
      for (const [i, seq] of batch.members.entries()) {
        waited.set(seq, tokens[i]! > 0 ? 0 : waited.get(seq)! + 1);
        expect(waited.get(seq)).toBeLessThan(Math.ceil(20 / 7));
      }
    }
  });

  it("alternates between decode and prefill when the budget is one token", () => {
    const budget = new TokenBudget({ maxNumSeqs: 4, maxNumBatchedTokens: 1, maxPrefillChunk: 1 });
    const batch = batchOf([1, 5]);
    const steps = Array.from({ length: 4 }, () => split(budget, batch));
    expect(steps.filter((tokens) => tokens[0] === 1)).toHaveLength(2);
    expect(steps.filter((tokens) => tokens[1] === 1)).toHaveLength(2);
  });

  it("keeps a seat for prefill when forks have made the batch larger than a step", () => {
    const budget = new TokenBudget({ maxNumSeqs: 2, maxNumBatchedTokens: 16, maxPrefillChunk: 16 });
    const batch = batchOf([1, 1, 1, 20]);
    expect(split(budget, batch)).toEqual([1, 0, 0, 15]);
    expect(split(budget, batch)).toEqual([0, 1, 0, 15]);
  });

  it("gives nothing to paused members", () => {
    const budget = new TokenBudget(CONFIG);
    const batch = batchOf([1, 1, 9]);
    (batch.members[0] as EngineSequence).paused = true;
    (batch.members[2] as EngineSequence).paused = true;
    expect(split(budget, batch)).toEqual([0, 1, 0]);
    expect(budget.numActive).toBe(1);
  });

  it.each(["maxNumSeqs", "maxNumBatchedTokens", "maxPrefillChunk"])("refuses a %s that is no positive integer", (name) => {
    for (const value of [0, -1, 2.5, Number.NaN, Infinity]) {
      expect(() => new TokenBudget({ ...CONFIG, [name]: value })).toThrow(InvalidOptionsError);
      expect(() => new TokenBudget({ ...CONFIG, [name]: value })).toThrow(new RegExp(`${name} is`));
    }
  });
});

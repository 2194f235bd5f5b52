import { describe, expect, it } from "vitest";
import { type ModelInput, type ModelLimits, type ModelRunner, ROW_LOGITS, ROW_NONFINITE, ROW_OK, ROW_SAMPLE } from "../contracts/index.js";
import { createModelInput } from "../engine/step-buffers.js";
import { AbortedError, DisposedError, EngineRestartedError, InternalError, InvalidOptionsError } from "../errors/index.js";
import { nullBackend, type NullBackendOptions } from "./null-backend.js";
import { nullNextToken } from "./null-backend-kv.js";
import { nullModelSpec, nullWeights } from "./null-backend-model.js";

const VOCAB = 50;
const LIMITS: ModelLimits = {
  maxModelLen: 32,
  maxNumSeqs: 4,
  maxNumBatchedTokens: 32,
  blockSize: 4,
  numBlocks: 16,
};
const PROMPT = [5, 6, 7, 8, 9, 10];

function load(options: NullBackendOptions = {}): Promise<ModelRunner> {
  const spec = nullModelSpec({ vocabSize: VOCAB });
  return nullBackend(options).loadModel(spec, nullWeights(), {
    limits: LIMITS,
    kvDtype: "f32",
    weightScheme: "f32",
  });
}

/** One sequence in a step: new tokens after `numPast` cached ones, a row for the last. */
interface Part {
  readonly tokens: readonly number[];
  readonly numPast?: number;
  readonly table: readonly number[];
  readonly wants?: number;
  readonly numLogprobs?: number;
}

function stepOf(...parts: Part[]): ModelInput {
  const input = createModelInput(LIMITS);
  for (const [s, part] of parts.entries()) {
    const numPast = part.numPast ?? 0;
    input.pastLens[s] = numPast;
    input.blockTables.set(part.table, s * input.maxBlocksPerSeq);
    for (const [i, token] of part.tokens.entries()) {
      const position = numPast + i;
      input.inputIds[input.numTokens] = token;
      input.positions[input.numTokens] = position;
      input.slotMapping[input.numTokens++] = part.table[Math.floor(position / 4)]! * 4 + (position % 4);
    }
    input.cuSeqlensQ[s + 1] = input.numTokens;
    input.logitsIndices[s] = input.numTokens - 1;
    input.rowWants[s] = part.wants ?? ROW_SAMPLE;
    input.sampling.numLogprobs[s] = part.numLogprobs ?? -1;
  }
  input.numSeqs = parts.length;
  input.numRows = parts.length;
  return input;
}

async function nextTokens(runner: ModelRunner, ...parts: Part[]): Promise<number[]> {
  const output = await runner.execute(stepOf(...parts));
  return [...output.tokenIds.subarray(0, output.numRows)];
}

describe("nullBackend", () => {
  it("samples what the oracle says, in one chunk, in several, and beside others", async () => {
    const runner = await load();
    const expected = nullNextToken(PROMPT, 6, VOCAB);
    expect(await nextTokens(runner, { tokens: PROMPT, table: [3, 1] })).toEqual([expected]);
    await nextTokens(runner, { tokens: PROMPT.slice(0, 3), table: [7, 9] });
    const both = await nextTokens(runner, { tokens: [1, 2], table: [0] }, { tokens: PROMPT.slice(3), numPast: 3, table: [7, 9] });
    expect(both).toEqual([nullNextToken([1, 2], 2, VOCAB), expected]);
  });

  it("gives another token for a wrong table, slot, position or stale block", async () => {
    const expected = nullNextToken([...PROMPT, 11], 7, 1000);
    const spoil: ((input: ModelInput) => void)[] = [
      (input) => (input.blockTables[0] = 2),
      (input) => (input.slotMapping[0] = 12),
      (input) => (input.positions[0] = 5),
      (input) => (input.pastLens[0] = 5),
    ];
    for (const change of [undefined, ...spoil]) {
      const spec = nullModelSpec();
      const options = { limits: LIMITS, kvDtype: "f32", weightScheme: "f32" } as const;
      const runner = await nullBackend().loadModel(spec, nullWeights(), options);
      await runner.execute(stepOf({ tokens: PROMPT, table: [3, 1] }));
      const input = stepOf({ tokens: [11], numPast: 6, table: [3, 1] });
      change?.(input);
      const token = (await runner.execute(input)).tokenIds[0];
      if (change) expect(token).not.toBe(expected);
      else expect(token).toBe(expected);
    }
  });

  it("uses tokens that are not to be stored for their own step only", async () => {
    const runner = await load();
    const input = stepOf({ tokens: PROMPT, table: [3, 1] });
    input.slotMapping.fill(-1);
    expect((await runner.execute(input)).tokenIds[0]).toBe(nullNextToken(PROMPT, 6, VOCAB));
    expect(runner.memory().kvCommittedBytes).toBe(0);
  });

  it("gives ROW_LOGITS rows logits whose argmax is the token, and log-probabilities of their softmax", async () => {
    const runner = await load();
    const output = await runner.execute(
      stepOf(
        { tokens: [1, 2], table: [0] },
        { tokens: PROMPT, table: [1, 2], wants: ROW_SAMPLE | ROW_LOGITS, numLogprobs: 3 },
        { tokens: [4], table: [3], wants: ROW_LOGITS },
      ),
    );
    expect([...output.logitsRow.subarray(0, 3)]).toEqual([-1, 0, 1]);
    const row = [...output.logits.subarray(0, VOCAB)];
    const best = row.map((_, id) => id).sort((a, b) => row[b]! - row[a]!);
    expect(best[0]).toBe(output.tokenIds[1]);
    const normalizer = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
    expect(output.logprobs[1]).toBeCloseTo(row[best[0]!]! - normalizer, 5);
    expect([...output.topIds.subarray(64, 67)]).toEqual(best.slice(0, 3));
    for (let i = 0; i < 3; i++) expect(output.topLogprobs[64 + i]).toBeCloseTo(row[best[i]!]! - normalizer, 5);
    const second = output.logits.subarray(VOCAB, 2 * VOCAB);
    expect(second.indexOf(Math.max(...second))).toBe(output.tokenIds[2]);
  });

  it("copies, reads and writes blocks with their content, and counts what was touched", async () => {
    const runner = await load();
    await nextTokens(runner, { tokens: PROMPT, table: [3, 1] });
    expect(runner.memory()).toEqual({
      weightBytes: 0,
      kvReservedBytes: 16 * 32,
      kvCommittedBytes: 2 * 32,
    });
    await runner.copyBlocks(Int32Array.of(3, 8, 8, 9));
    const stored = new Uint8Array(runner.blockBytes);
    await runner.readBlocks(Int32Array.of(1), stored);
    await runner.writeBlocks(Int32Array.of(5), stored);
    const token = await nextTokens(runner, { tokens: [11], numPast: 6, table: [9, 5] });
    expect(token).toEqual([nullNextToken([...PROMPT, 11], 7, VOCAB)]);
    expect(runner.memory().kvCommittedBytes).toBe(5 * 32);
    await expect(runner.copyBlocks(Int32Array.of(0, 16))).rejects.toThrow(/block 16 is outside the pool of 16/);
  });

  it("fails the steps it is asked to, loses the cache, and goes on after recover()", async () => {
    const runner = await load({ failAt: [1] });
    await nextTokens(runner, { tokens: PROMPT, table: [3, 1] });
    await expect(nextTokens(runner, { tokens: [11], numPast: 6, table: [3, 1] })).rejects.toThrow(EngineRestartedError);
    await expect(nextTokens(runner, { tokens: [1], table: [0] })).rejects.toThrow(EngineRestartedError);
    await runner.recover!();
    const orphan = await nextTokens(runner, { tokens: [12], numPast: 6, table: [3, 1] });
    expect(orphan).not.toEqual([nullNextToken([...PROMPT, 12], 7, VOCAB)]);
    const replayed = await nextTokens(runner, { tokens: [...PROMPT, 11], table: [3, 1] });
    expect(replayed).toEqual([nullNextToken([...PROMPT, 11], 7, VOCAB)]);
  });

  it("marks rows after the token chosen for it as not finite", async () => {
    const runner = await load({ nonfiniteAfter: 9 });
    const output = await runner.execute(stepOf({ tokens: [9], table: [0], wants: ROW_LOGITS }, { tokens: [9, 1], table: [1] }));
    expect([...output.status.subarray(0, 2)]).toEqual([ROW_NONFINITE, ROW_OK]);
    expect(output.logits.subarray(0, VOCAB).every(Number.isNaN)).toBe(true);
  });

  it("takes the time it is told to, on the clock it is given", async () => {
    let time = 100;
    const clock = { now: () => time, sleep: async (ms: number) => void (time += ms) };
    const runner = await load({ stepMs: 5, perTokenMs: 0.5, clock });
    const output = await runner.execute(stepOf({ tokens: PROMPT, table: [0, 1] }));
    expect([time, output.timings.total, output.timings.dense]).toEqual([108, 8, 8]);
  });

  it("refuses a second step while one runs, and any after dispose", async () => {
    const runner = await load({ stepMs: 1 });
    const running = runner.execute(stepOf({ tokens: [1], table: [0] }));
    await expect(runner.execute(stepOf({ tokens: [1], table: [0] }))).rejects.toThrow(InternalError);
    await running;
    await runner.dispose();
    await runner.dispose();
    await expect(runner.execute(stepOf({ tokens: [1], table: [0] }))).rejects.toThrow(DisposedError);
  });

  it("disposes its runners, and loads nothing after that, nor for an aborted signal or a wrong vocabulary", async () => {
    const backend = nullBackend();
    const options = { limits: LIMITS, kvDtype: "f32", weightScheme: "f32" } as const;
    const runner = await backend.loadModel(nullModelSpec(), nullWeights(), options);
    const aborted = { ...options, signal: AbortSignal.abort() };
    await expect(backend.loadModel(nullModelSpec(), nullWeights(), aborted)).rejects.toThrow(AbortedError);
    await backend.dispose();
    await backend.dispose();
    await expect(runner.copyBlocks(Int32Array.of())).rejects.toThrow(DisposedError);
    await expect(backend.loadModel(nullModelSpec(), nullWeights(), options)).rejects.toThrow(DisposedError);
    await expect(load({ vocabSize: VOCAB + 1 })).rejects.toThrow(InvalidOptionsError);
  });
});

/** One request's tokens and logprobs alone and in company: the sweep behind strict mode's promise. */
import type { LLMEngine, TokenLogprob, WeightScheme } from "@weir/core";
import { tokenEvents, withEngine, type CpuEngineOptions } from "./cpu-test-engine.js";
import { seededRandom } from "./seeded-random.js";

/** What must not depend on company: ids and the bits of logprobs. */
export interface Trace {
  readonly ids: readonly number[];
  readonly logprobs: readonly number[];
  readonly top: readonly (readonly TokenLogprob[])[];
}

export const SCHEMES: readonly WeightScheme[] = ["f32", "int8", "int4-g32", "int4-g64", "int4-g128"];
export const PROMPT: readonly number[] = prompt(1, 45);
export const NUM_NEW = 8;
export const SWEEP_ENGINE: CpuEngineOptions = { maxModelLen: 256, maxNumSeqs: 40, maxNumBatchedTokens: 512 };

export async function trace(engine: LLMEngine, promptIds: readonly number[] = PROMPT, maxTokens: number = NUM_NEW): Promise<Trace> {
  const events = await tokenEvents(engine, promptIds, { maxTokens, logprobs: 5 });
  return { ids: events.map(({ id }) => id), logprobs: events.map(({ logprob }) => logprob!), top: events.map(({ top }) => top!) };
}

/** @returns the sizes of batches, the request included, in which its trace differs from the one alone */
export function differingBatches(options: CpuEngineOptions, sizes: readonly number[]): Promise<number[]> {
  return withEngine({ ...SWEEP_ENGINE, ...options }, async (engine) => {
    const alone = JSON.stringify(await trace(engine));
    const differing: number[] = [];
    for (const size of sizes) {
      // Others first, so that the request is not the first row; all decode together for as long as it does.
      const others = Array.from({ length: size - 1 }, (_, i) => trace(engine, prompt(100 + i, 2 + ((i * 5) % 20)), NUM_NEW + 2));
      const among = JSON.stringify(await trace(engine));
      await Promise.all(others);
      if (among !== alone) differing.push(size);
    }
    return differing;
  });
}

/** @returns the prefill chunks in which the request's trace differs from the one in a single chunk */
export async function differingChunks(options: CpuEngineOptions, chunks: readonly number[]): Promise<number[]> {
  const run = (extra: CpuEngineOptions): Promise<string> =>
    withEngine({ ...SWEEP_ENGINE, ...options, ...extra }, async (engine) => JSON.stringify(await trace(engine)));
  const whole = await run({});
  const differing: number[] = [];
  for (const maxPrefillChunk of chunks) if ((await run({ maxPrefillChunk })) !== whole) differing.push(maxPrefillChunk);
  return differing;
}

export interface PreemptedRun {
  readonly preemptions: number;
  /** Streams whose trace differs from the one alone. */
  readonly differing: readonly number[];
}

/** `count` streams of 20 + 40 tokens in a pool of `numBlocks` blocks of 16, too small for all. */
export function preemptedRun(options: CpuEngineOptions, count: number, numBlocks: number): Promise<PreemptedRun> {
  return withEngine({ ...SWEEP_ENGINE, maxModelLen: 64, numBlocks, ...options }, async (engine) => {
    const prompts = Array.from({ length: count }, (_, i) => prompt(200 + i, 20));
    const together = await Promise.all(prompts.map((ids) => trace(engine, ids, 40)));
    const { numPreemptions } = engine.stats().scheduler;
    const differing: number[] = [];
    for (const [i, ids] of prompts.entries()) {
      if (JSON.stringify(await trace(engine, ids, 40)) !== JSON.stringify(together[i])) differing.push(i);
    }
    return { preemptions: numPreemptions, differing };
  });
}

/** 1, 2, ... `last` */
export function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, i) => i + 1);
}

function prompt(seed: number, length: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length }, () => random.int(2, 2047));
}

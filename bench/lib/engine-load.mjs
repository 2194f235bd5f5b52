/**
 * An engine under the load of a scenario, in this process: what `weir bench throughput` does, for the files that look
 * inside. In: a load. Out: an engine; finished streams. Used by the children that `step-profile` and `memory` start.
 */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine } from "@weir/core";

/** @typedef {import("./engines.mjs").Load & { quantize: string, kvDtype: string }} EngineLoad */

/** @param {EngineLoad} load @param {object} [options]  further EngineOptions */
export function openEngine({ model, streams, promptTokens, maxTokens, quantize, kvDtype }, options = {}) {
  return createEngine({
    model: `random:${model}`,
    backend: cpuBackend(),
    quantize: /** @type {any} */ (quantize),
    kvDtype: /** @type {any} */ (kvDtype),
    maxNumSeqs: streams,
    maxModelLen: promptTokens + maxTokens,
    ...options,
  });
}

/**
 * All streams at once, random prompts that share no prefix, greedy, end tokens ignored.
 * @param {import("@weir/core").LLMEngine} engine
 * @param {{ streams: number, promptTokens: number, maxTokens: number }} load
 */
export async function runStreams(engine, { streams, promptTokens, maxTokens }) {
  const prompts = randomPrompts(engine.info.vocabSize, streams, promptTokens);
  await Promise.all(
    prompts.map(async (prompt) => {
      for await (const _ of engine.generate(prompt, { maxTokens, ignoreEos: true }));
    }),
  );
}

/** Seeded. @param {number} vocabSize @param {number} numPrompts @param {number} length */
export function randomPrompts(vocabSize, numPrompts, length) {
  let state = 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // Numerical Recipes' LCG; its high bits are good enough
    return Math.floor((state / 2 ** 32) * vocabSize);
  };
  return Array.from({ length: numPrompts }, () => Int32Array.from({ length }, next));
}

/**
 * Teacher forcing through the engine: the model's own choices at each place of a given text. In: an engine, a prompt and
 * its continuation. Out: the raw logits from which each token of the continuation was to be chosen.
 */
import type { LLMEngine, LogitsProcessor } from "@weir/core";

/** @returns [continuation.length][vocabSize] */
export async function forcedLogits(engine: LLMEngine, prompt: readonly number[], continuation: readonly number[]): Promise<Float32Array[]> {
  const rows: Float32Array[] = [];
  const force: LogitsProcessor = {
    name: "teacher",
    process(logits, tokenIds, numPromptTokens) {
      rows.push(logits.slice());
      logits.fill(-Infinity);
      logits[continuation[tokenIds.length - numPromptTokens]!] = 0;
    },
  };
  const options = { maxTokens: continuation.length, ignoreEos: true, logitsProcessors: [force] };
  for await (const _ of engine.generate([...prompt], options));
  return rows;
}

/** Index of the first largest. */
export function best(logits: ArrayLike<number>): number {
  let at = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[at]!) at = i;
  return at;
}

/** Largest difference relative to the largest wanted value; NaN if there is one. */
export function relativeError(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  let largest = 0;
  let error = 0;
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs(wanted[i]!));
    error = Math.max(error, Math.abs(actual[i]! - wanted[i]!));
  }
  return error / largest;
}

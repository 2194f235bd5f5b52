/**
 * Logit bias and the penalties for what was already said, as vLLM defines them.
 * In: a row of raw logits and its part of SamplingInput. Out: the row, changed in place through LogitEdits.
 */
import type { SamplingInput } from "../contracts/model-input.js";
import type { LogitEdits } from "./logit-edits.js";

/** Adds the row's logit bias; -Infinity bans a token. */
export function applyLogitBias(logits: Float32Array, params: SamplingInput, row: number, edits: LogitEdits): void {
  const end = params.cuBias[row + 1]!;
  for (let at = params.cuBias[row]!; at < end; at++) {
    const id = params.biasIds[at]!;
    edits.set(logits, id, logits[id]! + params.biasValues[at]!);
  }
}

export class Penalties {
  /** [vocabSize] i32: 0 = unseen, 1 + occurrences in the output otherwise; all 0 between calls. Grows. */
  #seen = new Int32Array(0);

  /**
   * Repetition (prompt and output ids: positive logits divided, others multiplied), then frequency (per occurrence in
   * the output), then presence (once if in the output). One rounding to f32 at the end.
   */
  apply(logits: Float32Array, params: SamplingInput, row: number, edits: LogitEdits): void {
    const start = params.cuHistory[row]!;
    const end = params.cuHistory[row + 1]!;
    const repetition = params.repetitionPenalty[row]!;
    const presence = params.presencePenalty[row]!;
    const frequency = params.frequencyPenalty[row]!;
    if (start === end || (repetition === 1 && presence === 0 && frequency === 0)) return;
    const history = params.historyIds;
    const seen = this.#count(logits.length, history, start, start + params.promptLens[row]!, end);
    for (let at = start; at < end; at++) {
      const id = history[at]!;
      const count = seen[id]! - 1;
      if (count < 0) continue;
      seen[id] = 0;
      const logit = logits[id]!;
      const repeated = logit > 0 ? logit / repetition : logit * repetition;
      edits.set(logits, id, repeated - frequency * count - (count > 0 ? presence : 0));
    }
  }

  #count(vocabSize: number, history: Int32Array, start: number, outputStart: number, end: number): Int32Array {
    if (this.#seen.length < vocabSize) this.#seen = new Int32Array(vocabSize);
    const seen = this.#seen;
    for (let at = start; at < outputStart; at++) seen[history[at]!] = 1;
    for (let at = outputStart; at < end; at++) {
      const id = history[at]!;
      seen[id] = Math.max(seen[id]!, 1) + 1;
    }
    return seen;
  }
}

/**
 * Sampler and LogitsProcessor. The default sampler runs with the runner (only ids come back);
 * a user's own runs on the caller's thread, from whole rows.
 */
import type { SamplingInput } from "./model-input.js";

/** Changes a row of logits in place, on the caller's thread, before sampling. A throw fails the request. */
export interface LogitsProcessor {
  readonly name: string;
  /**
   * @param logits [vocabSize] f32 raw logits, changed in place; -Infinity bans a token
   * @param tokenIds prompt then output ids so far; a view, do not keep
   * @param numPromptTokens how many of them are the prompt
   */
  process(logits: Float32Array, tokenIds: Int32Array, numPromptTokens: number): void;
}

/** Where a sampler writes row `row`. */
export interface SampledRows {
  readonly status: Uint8Array;
  readonly tokenIds: Int32Array;
  readonly logprobs: Float32Array;
  /** [rows, MAX_LOGPROBS] */
  readonly topIds: Int32Array;
  readonly topLogprobs: Float32Array;
}

export interface Sampler {
  readonly name: string;
  /**
   * Chooses the token of one row.
   * @param logits [vocabSize] f32; may be changed in place
   * @param row index into `params` and `out`
   */
  sample(logits: Float32Array, params: SamplingInput, row: number, out: SampledRows): void;
}

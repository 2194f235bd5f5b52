/**
 * ModelOutput: what a step gives back, per row of logits. Owned by the runner and valid until its next
 * `execute()`. A union by row (`ROW_SAMPLE`, `ROW_LOGITS`), not by step, so that one request with a
 * logits processor does not make every other row travel (docs/decisions/0002).
 */

export const ROW_OK = 0;
/** The row's logits held NaN, or no token was left to choose from: the request fails, the step does not. */
export const ROW_NONFINITE = 1;

export interface ModelOutput {
  readonly numRows: number;
  /** [numRows] u8, ROW_OK | ROW_NONFINITE */
  readonly status: Uint8Array;
  /** [numRows] i32; valid for ROW_SAMPLE rows */
  readonly tokenIds: Int32Array;
  /** [numRows] f32 natural-log probability of tokenIds; valid where numLogprobs >= 0 */
  readonly logprobs: Float32Array;
  /** [numRows, MAX_LOGPROBS] i32, best first; the first numLogprobs are valid */
  readonly topIds: Int32Array;
  /** [numRows, MAX_LOGPROBS] f32 */
  readonly topLogprobs: Float32Array;
  /** [numLogitsRows, vocabSize] f32 raw logits of ROW_LOGITS rows, in row order */
  readonly logits: Float32Array;
  /** [numRows] i32, row of `logits`, -1 where none */
  readonly logitsRow: Int32Array;
  /** Where the step's time went; all 0 where a backend does not measure. */
  readonly timings: StepTimings;
}

/** Milliseconds of one step. */
export interface StepTimings {
  dense: number;
  attention: number;
  sampling: number;
  /** Whole execute() as the runner saw it. */
  total: number;
}

/** Samples the rows of a step that want it. Called by runners, with the logits of the step and its ModelInput. */
import { ROW_SAMPLE, type ModelInput } from "../contracts/model-input.js";
import type { SampledRows, Sampler } from "../contracts/sampler.js";

/**
 * Fills `output` for every row with ROW_SAMPLE; other rows are left alone.
 * @param logits [numRows, rowStride] f32 raw logits, in row order; unchanged afterwards with DefaultSampler
 * @param rowStride elements from one row to the next
 * @param vocabSize logits of a row, <= rowStride. Default rowStride.
 */
export function sampleRows(
  logits: Float32Array,
  rowStride: number,
  input: ModelInput,
  output: SampledRows,
  sampler: Sampler,
  vocabSize: number = rowStride,
): void {
  for (let row = 0; row < input.numRows; row++) {
    if ((input.rowWants[row]! & ROW_SAMPLE) === 0) continue;
    const start = row * rowStride;
    sampler.sample(logits.subarray(start, start + vocabSize), input.sampling, row, output);
  }
}

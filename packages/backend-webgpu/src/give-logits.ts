/** Copies the rows that somebody wants whole out of a step's logits, and says of rows that nobody sampled if they hold NaN. */
import { ROW_LOGITS, ROW_NONFINITE, ROW_OK, ROW_SAMPLE, type ModelInput, type MutableModelOutput } from "@weir/core";

/** @param logits [numRows, vocabSize] f32; unchanged, and not kept */
export function giveLogits(logits: Float32Array, vocabSize: number, input: ModelInput, output: MutableModelOutput): void {
  let numLogitsRows = 0;
  for (let row = 0; row < input.numRows; row++) {
    const wanted = (input.rowWants[row]! & ROW_LOGITS) !== 0;
    output.logitsRow[row] = wanted ? numLogitsRows++ : -1;
  }
  if (output.logits.length < numLogitsRows * vocabSize) output.logits = new Float32Array(numLogitsRows * vocabSize);
  for (let row = 0; row < input.numRows; row++) {
    // [vocabSize] f32
    const values = logits.subarray(row * vocabSize, (row + 1) * vocabSize);
    if ((input.rowWants[row]! & ROW_SAMPLE) === 0) output.status[row] = values.some(Number.isNaN) ? ROW_NONFINITE : ROW_OK;
    const at = output.logitsRow[row]!;
    if (at >= 0) output.logits.set(values, at * vocabSize);
  }
}

/** A step by hand: one prompt, computed whole, its blocks handed out backwards. */
import { createModelInput, ROW_LOGITS, type ModelInput, type ModelLimits } from "@weir/core";

export function prefillInput(limits: ModelLimits, prompt: readonly number[]): ModelInput {
  const input = createModelInput(limits);
  addSequence(input, limits, prompt, 0, limits.numBlocks);
  addRow(input, input.numTokens - 1);
  return input;
}

/** Appends `ids` as the new tokens of a sequence with `past` tokens, whose blocks count down from below `endBlock`. */
export function addSequence(input: ModelInput, { blockSize }: ModelLimits, ids: readonly number[], past: number, endBlock: number): void {
  const seq = input.numSeqs++;
  input.pastLens[seq] = past;
  for (let i = 0; i < Math.ceil((past + ids.length) / blockSize); i++)
    input.blockTables[seq * input.maxBlocksPerSeq + i] = endBlock - 1 - i;
  for (const [i, id] of ids.entries()) {
    const position = past + i;
    const at = input.numTokens++;
    input.inputIds[at] = id;
    input.positions[at] = position;
    input.slotMapping[at] = (endBlock - 1 - Math.floor(position / blockSize)) * blockSize + (position % blockSize);
  }
  input.cuSeqlensQ[seq + 1] = input.numTokens;
}

/** Asks for the raw logits after a token. */
export function addRow(input: ModelInput, token: number): void {
  input.logitsIndices[input.numRows] = token;
  input.rowWants[input.numRows++] = ROW_LOGITS;
}

import { expect, it } from "vitest";
import { ROW_LOGITS, ROW_SAMPLE } from "../contracts/model-input.js";
import { createModelInput, createModelOutput } from "../engine/step-buffers.js";
import { DefaultSampler } from "./default-sampler.js";
import { sampleRows } from "./sample-rows.js";

it("sampleRows samples the rows that want it, skips padding and leaves other rows alone", () => {
  const limits = { maxModelLen: 16, maxNumSeqs: 3, maxNumBatchedTokens: 16, blockSize: 16, numBlocks: 4 };
  const input = createModelInput(limits);
  input.numRows = 3;
  input.rowWants.set([ROW_SAMPLE, ROW_LOGITS, ROW_SAMPLE | ROW_LOGITS]);
  input.sampling.numLogprobs.fill(-1);
  const output = createModelOutput(3, new Float32Array(0));
  output.tokenIds.fill(77);
  // Stride 4, vocabulary 3: the fourth column would win if it were looked at.
  const logits = Float32Array.from([1, 5, 2, 99, 9, 0, 0, 99, 0, 0, 3, 99]);
  sampleRows(logits, 4, input, output, new DefaultSampler(), 3);
  expect([...output.tokenIds]).toEqual([1, 77, 2]);
});

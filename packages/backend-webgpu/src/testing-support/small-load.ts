/** A fixture model opened once, and the options that load it small. */
import type { LoadModelOptions, ModelInput, ModelLimits } from "@weir/core";
import { createModelInput, ROW_SAMPLE } from "@weir/core";
import { openModelFolder } from "@weir/core/node";
import { fixtureFolder } from "./test-models.js";

type Opened = Awaited<ReturnType<typeof openModelFolder>>;

export const SMALL_LIMITS: ModelLimits = { maxModelLen: 64, maxNumSeqs: 4, maxNumBatchedTokens: 32, blockSize: 16, numBlocks: 16 };

export const SMALL_LOAD: LoadModelOptions = { limits: SMALL_LIMITS, kvDtype: "f32", weightScheme: "f32" };

export function openLlama(): Promise<Opened> {
  return openModelFolder(fixtureFolder("llama"));
}

/** One sequence of three tokens in block 0, one greedy row. */
export function smallStep(limits: ModelLimits = SMALL_LIMITS): ModelInput {
  const input = createModelInput(limits);
  input.numTokens = 3;
  input.numSeqs = input.numRows = 1;
  input.inputIds.set([5, 6, 7]);
  input.positions.set([0, 1, 2]);
  input.slotMapping.set([0, 1, 2]);
  input.cuSeqlensQ[1] = 3;
  input.logitsIndices[0] = 2;
  input.rowWants[0] = ROW_SAMPLE;
  input.sampling.topP[0] = input.sampling.repetitionPenalty[0] = 1;
  input.sampling.numLogprobs[0] = -1;
  return input;
}

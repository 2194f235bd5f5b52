import { createModelInput, type ModelInput } from "@weir/core";
import { describe, expect, it } from "vitest";
import { addRow, addSequence } from "../testing-support/prefill-input.js";
import { StepArrays } from "./step-arrays.js";

const LIMITS = { maxModelLen: 96, maxNumSeqs: 4, maxNumBatchedTokens: 128, blockSize: 16, numBlocks: 64 };

/** A decode, a prompt of 70 after 20 cached tokens, a prompt of 31. */
function mixedStep(): ModelInput {
  const input = createModelInput(LIMITS);
  addSequence(input, LIMITS, [900], 40, 10);
  addSequence(input, LIMITS, ids(100, 70), 20, 30);
  addSequence(input, LIMITS, ids(300, 31), 0, 50);
  return input;
}

describe("a step in one run", () => {
  it("is the step itself, with bounds, and 0 where a block table ends", () => {
    const input = mixedStep();
    [0, 70, 101].forEach((token) => addRow(input, token));
    const arrays = new StepArrays(LIMITS, Number.MAX_SAFE_INTEGER);
    expect(arrays.runsOf(input)).toBe(1);
    arrays.blockTables.fill(99);
    arrays.fill(input, 0);
    expect(contents(arrays)).toEqual({
      ids: [900, ...ids(100, 70), ...ids(300, 31)],
      cuSeqlensQ: [0, 1, 71, 102],
      pastLens: [40, 20, 0],
      tables: [
        [9, 8, 7, 0, 0, 0],
        [29, 28, 27, 26, 25, 24],
        [49, 48, 0, 0, 0, 0],
      ],
      bounds: [70, 90],
      rows: [0, 70, 101],
      stepRows: [0, 1, 2],
    });
  });

  it("asks for the first token's row where nobody wants one", () => {
    const arrays = new StepArrays(LIMITS, Number.MAX_SAFE_INTEGER);
    arrays.rowIndices.fill(77);
    arrays.fill(mixedStep(), 0);
    expect([arrays.numRows, arrays.rowIndices[0]]).toEqual([0, 0]);
  });
});

describe("a step in runs of 31 new tokens", () => {
  it("computes each sequence's tokens in order, and leaves out sequences that are done", () => {
    const input = mixedStep();
    [0, 70, 101].forEach((token) => addRow(input, token));
    const arrays = new StepArrays(LIMITS, 31);
    expect(arrays.runsOf(input)).toBe(3);
    const runs = [0, 1, 2].map((run) => {
      arrays.fill(input, run);
      const { ids, cuSeqlensQ, pastLens, bounds, rows, stepRows } = contents(arrays);
      return { ids, cuSeqlensQ, pastLens, bounds, rows, stepRows };
    });
    expect(runs).toEqual([
      {
        ids: [900, ...ids(100, 31), ...ids(300, 31)],
        cuSeqlensQ: [0, 1, 32, 63],
        pastLens: [40, 20, 0],
        bounds: [31, 51],
        rows: [0, 62],
        stepRows: [0, 2],
      },
      { ids: ids(131, 31), cuSeqlensQ: [0, 31], pastLens: [51], bounds: [31, 82], rows: [], stepRows: [] },
      { ids: ids(162, 8), cuSeqlensQ: [0, 8], pastLens: [82], bounds: [8, 90], rows: [7], stepRows: [1] },
    ]);
  });

  it("finds several rows of one sequence in the runs that compute them", () => {
    const input = createModelInput(LIMITS);
    addSequence(input, LIMITS, ids(1, 65), 0, 20);
    [0, 30, 31, 61].forEach((token) => addRow(input, token));
    const arrays = new StepArrays(LIMITS, 31);
    const rows = [0, 1, 2].map((run) => {
      arrays.fill(input, run);
      return contents(arrays).stepRows.map((row, i) => [row, arrays.rowIndices[i]]);
    });
    expect(rows).toEqual([
      [
        [0, 0],
        [1, 30],
      ],
      [
        [2, 0],
        [3, 30],
      ],
      [],
    ]);
  });
});

describe("a slot that the block table does not give", () => {
  it("is refused, since the operator would store the token elsewhere", () => {
    const input = mixedStep();
    input.slotMapping[3] = -1;
    expect(() => new StepArrays(LIMITS, 31).fill(input, 0)).toThrow(
      expect.objectContaining({ code: "not_supported", message: expect.stringContaining("token 3 is to be stored in slot -1") }),
    );
  });
});

function contents(arrays: StepArrays) {
  const { numTokens, numSeqs, numRows, maxBlocksPerSeq } = arrays;
  return {
    ids: [...arrays.inputIds.subarray(0, numTokens)],
    cuSeqlensQ: [...arrays.cuSeqlensQ.subarray(0, numSeqs + 1)],
    pastLens: [...arrays.pastLens.subarray(0, numSeqs)],
    tables: Array.from({ length: numSeqs }, (_, seq) => [
      ...arrays.blockTables.subarray(seq * maxBlocksPerSeq, (seq + 1) * maxBlocksPerSeq),
    ]),
    bounds: [...arrays.attentionBounds],
    rows: [...arrays.rowIndices.subarray(0, numRows)],
    stepRows: [...arrays.stepRows.subarray(0, numRows)],
  };
}

function ids(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/**
 * StepArrays: the graph's inputs for one run, in host memory that does not move. In: the engine's step, and which run
 * of it. Out: filled arrays and counts. A step is one run unless the device takes only so many new tokens of a sequence
 * at a time: then run r computes tokens [r * most, (r + 1) * most) of each sequence that has so many.
 */
import { NotSupportedError, type ModelInput, type ModelLimits } from "@weir/core";

export class StepArrays {
  /** [numTokens] i32 */
  readonly inputIds: Int32Array;
  /** [numSeqs + 1] i32 */
  readonly cuSeqlensQ: Int32Array;
  /** [numSeqs] i32 */
  readonly pastLens: Int32Array;
  /** [numSeqs, maxBlocksPerSeq] i32, 0 where no block is used */
  readonly blockTables: Int32Array;
  /** [2] i32: most new tokens of a sequence, most tokens of one */
  readonly attentionBounds: Int32Array;
  /** [max(numRows, 1)] i32 */
  readonly rowIndices: Int32Array;
  /** [numRows]: the step's row that each row of this run is */
  readonly stepRows: Int32Array;
  readonly maxBlocksPerSeq: number;
  numTokens = 0;
  numSeqs = 0;
  numRows = 0;
  readonly #mostNewTokens: number;
  readonly #blockSize: number;

  /** @param mostNewTokens of a sequence in a run */
  constructor({ maxNumBatchedTokens, maxNumSeqs, maxModelLen, blockSize }: ModelLimits, mostNewTokens: number) {
    this.maxBlocksPerSeq = Math.ceil(maxModelLen / blockSize);
    this.inputIds = ints(maxNumBatchedTokens);
    this.cuSeqlensQ = ints(maxNumSeqs + 1);
    this.pastLens = ints(maxNumSeqs);
    this.blockTables = ints(maxNumSeqs * this.maxBlocksPerSeq);
    this.attentionBounds = ints(2);
    this.rowIndices = ints(maxNumSeqs);
    this.stepRows = ints(maxNumSeqs);
    this.#mostNewTokens = mostNewTokens;
    this.#blockSize = blockSize;
  }

  /** Runs that the step needs. */
  runsOf({ numSeqs, cuSeqlensQ }: ModelInput): number {
    let most = 0;
    for (let seq = 0; seq < numSeqs; seq++) most = Math.max(most, cuSeqlensQ[seq + 1]! - cuSeqlensQ[seq]!);
    return Math.ceil(most / this.#mostNewTokens);
  }

  /** @throws NotSupportedError when a token is to be stored elsewhere than its block table says */
  fill(input: ModelInput, run: number): void {
    this.numTokens = this.numSeqs = this.numRows = 0;
    this.attentionBounds.fill(0);
    let row = 0;
    for (let seq = 0; seq < input.numSeqs; seq++) {
      const start = input.cuSeqlensQ[seq]!;
      const end = input.cuSeqlensQ[seq + 1]!;
      const from = start + run * this.#mostNewTokens;
      const to = Math.min(end, from + this.#mostNewTokens);
      // Rows come in the order of tokens.
      for (; row < input.numRows && input.logitsIndices[row]! < end; row++) {
        const at = input.logitsIndices[row]!;
        if (at >= from && at < to) this.#addRow(row, this.numTokens + at - from);
      }
      if (from < to) this.#addTokens(input, seq, from, to);
    }
    // The graph always gives a row; nobody looks at this one.
    if (this.numRows === 0) this.rowIndices[0] = 0;
  }

  #addRow(stepRow: number, token: number): void {
    this.rowIndices[this.numRows] = token;
    this.stepRows[this.numRows++] = stepRow;
  }

  #addTokens(input: ModelInput, seq: number, from: number, to: number): void {
    const past = input.pastLens[seq]! + from - input.cuSeqlensQ[seq]!;
    const total = past + to - from;
    const table = seq * input.maxBlocksPerSeq;
    for (let token = from, position = past; token < to; token++, position++) {
      const slot = input.blockTables[table + Math.floor(position / this.#blockSize)]! * this.#blockSize + (position % this.#blockSize);
      if (input.slotMapping[token] !== slot) throw wrongSlot(token, input.slotMapping[token]!, slot);
      this.inputIds[this.numTokens++] = input.inputIds[token]!;
    }
    const numBlocks = Math.ceil(total / this.#blockSize);
    const at = this.numSeqs * this.maxBlocksPerSeq;
    for (let i = 0; i < numBlocks; i++) this.blockTables[at + i] = input.blockTables[table + i]!;
    this.blockTables.fill(0, at + numBlocks, at + this.maxBlocksPerSeq);
    this.pastLens[this.numSeqs++] = past;
    this.cuSeqlensQ[this.numSeqs] = this.numTokens;
    this.attentionBounds[0] = Math.max(this.attentionBounds[0]!, to - from);
    this.attentionBounds[1] = Math.max(this.attentionBounds[1]!, total);
  }
}

function wrongSlot(token: number, slot: number, wanted: number): NotSupportedError {
  return new NotSupportedError(
    `token ${token} is to be stored in slot ${slot}; PagedAttention without a slot mapping stores it where its block table says, in slot ${wanted}`,
  );
}

/** In a buffer of its own: a small typed array would lie on the JavaScript heap, which moves. */
function ints(length: number): Int32Array {
  return new Int32Array(new ArrayBuffer(Math.max(4096, length * 4)), 0, length);
}

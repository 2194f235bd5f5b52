/**
 * WeightPlan: which buffers hold the weights, and which parts of which tensors go where. Linears that read the same
 * input are stacked into one matrix; a matrix larger than one binding becomes several buffers of whole rows.
 * Plans only: reads nothing, allocates nothing.
 */
import { NotSupportedError, type LinearSpec } from "@weir/core";

/** `count` elements of a tensor from `first` on, to be at element `at` of a buffer; plusOne for Gemma's norms. */
export interface WeightPiece {
  readonly tensor: string;
  readonly first: number;
  readonly count: number;
  readonly at: number;
  readonly plusOne: boolean;
}

export interface WeightBuffer {
  readonly name: string;
  /** Elements, f32. What no piece covers is zero. */
  readonly size: number;
  readonly pieces: readonly WeightPiece[];
}

/** Rows [firstRow, firstRow + numRows) of a matrix. */
export interface MatrixPart {
  readonly buffer: string;
  readonly firstRow: number;
  readonly numRows: number;
}

export class WeightPlan {
  readonly buffers: WeightBuffer[] = [];
  readonly #maxElements: number;

  constructor(maxBindingBytes: number) {
    this.#maxElements = Math.floor(maxBindingBytes / 4);
  }

  get bytes(): number {
    return this.buffers.reduce((sum, { size }) => sum + size * 4, 0);
  }

  /** The linears' weights one below the other. @throws NotSupportedError when not even one row fits a binding */
  matrix(name: string, linears: readonly Pick<LinearSpec, "weight" | "inFeatures" | "outFeatures" | "rowOffset">[]): MatrixPart[] {
    const { inFeatures, weight } = linears[0]!;
    const totalRows = linears.reduce((rows, { outFeatures }) => rows + outFeatures, 0);
    const maxRows = Math.floor(this.#maxElements / inFeatures);
    if (maxRows === 0) {
      throw new NotSupportedError(
        `one row of ${weight} has ${inFeatures * 4} bytes; this GPU binds at most ${this.#maxElements * 4} at once`,
      );
    }
    const parts: MatrixPart[] = [];
    for (let firstRow = 0; firstRow < totalRows; firstRow += maxRows) {
      const buffer = totalRows > maxRows ? `${name}[${parts.length}]` : name;
      const numRows = Math.min(maxRows, totalRows - firstRow);
      this.buffers.push({ name: buffer, size: numRows * inFeatures, pieces: rowPieces(linears, firstRow, numRows) });
      parts.push({ buffer, firstRow, numRows });
    }
    return parts;
  }

  /** A vector by itself. @returns its buffer */
  vector(name: string, tensor: string, size: number, plusOne = false): string {
    this.buffers.push({ name, size, pieces: [{ tensor, first: 0, count: size, at: 0, plusOne }] });
    return name;
  }

  /** The linears' biases one after the other, zeros where one has none. @returns undefined when none has any */
  biases(name: string, linears: readonly LinearSpec[]): string | undefined {
    const pieces: WeightPiece[] = [];
    let at = 0;
    for (const { bias, outFeatures, rowOffset = 0 } of linears) {
      if (bias !== undefined) pieces.push({ tensor: bias, first: rowOffset, count: outFeatures, at, plusOne: false });
      at += outFeatures;
    }
    if (pieces.length === 0) return undefined;
    this.buffers.push({ name, size: at, pieces });
    return name;
  }
}

/** What of each linear falls into rows [firstRow, firstRow + numRows) of the stack. */
function rowPieces(
  linears: readonly Pick<LinearSpec, "weight" | "inFeatures" | "outFeatures" | "rowOffset">[],
  firstRow: number,
  numRows: number,
): WeightPiece[] {
  const pieces: WeightPiece[] = [];
  let start = 0;
  for (const { weight, inFeatures, outFeatures, rowOffset = 0 } of linears) {
    const from = Math.max(start, firstRow);
    const to = Math.min(start + outFeatures, firstRow + numRows);
    if (from < to) {
      pieces.push({
        tensor: weight,
        first: (rowOffset + from - start) * inFeatures,
        count: (to - from) * inFeatures,
        at: (from - firstRow) * inFeatures,
        plusOne: false,
      });
    }
    start += outFeatures;
  }
  return pieces;
}

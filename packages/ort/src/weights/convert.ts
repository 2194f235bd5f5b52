/**
 * Stored floats to f32, little endian. In: raw bytes of a tensor or a piece of one. Out: f32 in the caller's array.
 * bf16 is the upper half of an f32; f16 goes through a table of all 65,536 values.
 */
import { InternalError } from "@weir/core";
import type { TensorDtype } from "@weir/core";

/** Float types that weights may be stored in, with their bytes per element. */
export const FLOAT_BYTES: Readonly<Partial<Record<TensorDtype, number>>> = { F32: 4, F16: 2, BF16: 2 };

/**
 * @param bytes starts at a multiple of 4 in its buffer; its length decides how many elements are converted
 * @param into gets them from `offset` on
 */
export function convertToF32(dtype: TensorDtype, bytes: Uint8Array, into: Float32Array, offset: number): void {
  if (dtype === "F32") {
    into.set(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4), offset);
    return;
  }
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  if (dtype === "BF16") {
    const bits = new Uint32Array(into.buffer, into.byteOffset + offset * 4, halves.length);
    for (let i = 0; i < halves.length; i++) bits[i] = halves[i]! << 16;
    return;
  }
  if (dtype !== "F16") throw new InternalError(`${dtype} is no float type of weights`);
  const table = f16Table();
  for (let i = 0; i < halves.length; i++) into[offset + i] = table[halves[i]!]!;
}

/** [rows, columns] -> [columns, rows], in tiles that stay in the cache. Returns a new array of the same kind. */
export function transpose<A extends Float32Array | Int8Array | Uint8Array>(array: A, rows: number, columns: number): A {
  const out = new (array.constructor as new (length: number) => A)(array.length);
  for (let top = 0; top < rows; top += TILE) {
    const bottom = Math.min(top + TILE, rows);
    for (let left = 0; left < columns; left += TILE) {
      const right = Math.min(left + TILE, columns);
      for (let column = left; column < right; column++) {
        for (let row = top; row < bottom; row++) out[column * rows + row] = array[row * columns + column]!;
      }
    }
  }
  return out;
}

const TILE = 64;

let table: Float32Array | undefined;

/** [65536] f32, the value of every f16 bit pattern; 256 KB, made on first use. */
function f16Table(): Float32Array {
  table ??= Float32Array.from({ length: 65536 }, (_, bits) => f16Value(bits));
  return table;
}

function f16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const mantissa = bits & 0x3ff;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

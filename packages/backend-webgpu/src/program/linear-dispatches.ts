/** The forms of one matrix product, of which a step's number of rows chooses one. */
import { matmul, matmulDims, type MatmulBuffers, type MatmulSizes } from "../kernels/matmul.js";
import { matvec } from "../kernels/matvec.js";
import type { Dispatch } from "../kernels/wgsl.js";

/** Beyond this many rows a weight is used often enough to pass through workgroup memory. Not measured on a GPU yet. */
const MOST_FOR_MATVEC = 32;
const ROWS_PER_THREAD = 4;

/** @param constant names a uniform buffer that holds the values */
export function linearDispatches(
  sizes: MatmulSizes,
  buffers: MatmulBuffers,
  constant: (values: Uint32Array<ArrayBuffer>) => string,
): readonly Dispatch[] {
  return [
    matvec(sizes, buffers, 1, (rows) => rows === 1),
    matvec(sizes, buffers, ROWS_PER_THREAD, (rows) => rows > 1 && rows <= MOST_FOR_MATVEC),
    matmul(sizes, buffers, constant(matmulDims(sizes)), (rows) => rows > MOST_FOR_MATVEC),
  ];
}

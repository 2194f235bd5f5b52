/**
 * matmul: result[m, n] = sum_k x[m, k] * weight[n, k] + bias[n], added to what is there or not; for many rows. Tiles of
 * x and of the weight pass through workgroup memory; a thread keeps four rows of four columns. Each sum runs over k
 * in order in one accumulator, as in matvec: a row's bits depend neither on the form nor on the other rows.
 */
import { type Dispatch, groups, read, readWrite, STEP_STRUCT, uniform } from "./wgsl.js";

export interface MatmulSizes {
  readonly inFeatures: number;
  /** Rows of the weight in this part: columns of the result that it gives. */
  readonly numColumns: number;
  /** Where these columns lie in a row of the result, and how long that row is. */
  readonly firstColumn: number;
  readonly outStride: number;
  readonly bias: boolean;
  /** Add to the result instead of replacing it. */
  readonly accumulate: boolean;
  /** What the rows of x are. */
  readonly rows: "numTokens" | "numRows";
}

export interface MatmulBuffers {
  readonly x: string;
  readonly weight: string;
  /** [outStride] */
  readonly bias?: string;
  readonly result: string;
}

/** Threads along columns and along rows. */
const SIDE = 16;
/** Rows, and columns, per thread. */
const OWN = 4;
const TILE = SIDE * OWN;
/** k per tile. */
const DEPTH = 16;
const THREADS = SIDE * SIDE;

/** As `dims` in the text: sizes come in a uniform, since this text takes long to compile and serves every shape. */
export function matmulDims(sizes: MatmulSizes): Uint32Array<ArrayBuffer> {
  const { inFeatures, numColumns, firstColumn, outStride, accumulate, rows } = sizes;
  return Uint32Array.of(inFeatures, numColumns, firstColumn, outStride, Number(accumulate), Number(rows === "numRows"), 0, 0);
}

export function matmulWgsl({ bias }: { readonly bias: boolean }): string {
  const perRow = (line: (row: number) => string): string => Array.from({ length: OWN }, (_, row) => line(row)).join("\n");
  return /* wgsl */ `
${STEP_STRUCT}
struct Dims {
  inFeatures: u32, numColumns: u32, firstColumn: u32, outStride: u32,
  accumulate: u32, ofRows: u32,
}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<uniform> dims: Dims;
@group(0) @binding(2) var<storage, read> x: array<f32>; // [rows, inFeatures]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // [numColumns, inFeatures]
@group(0) @binding(4) var<storage, read_write> result: array<f32>; // [rows, outStride]
${bias ? "@group(0) @binding(5) var<storage, read> bias: array<f32>; // [outStride]" : ""}

var<workgroup> xTile: array<f32, ${TILE * DEPTH}>; // [row][k]
var<workgroup> weightTile: array<f32, ${TILE * DEPTH}>; // [k][column]

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let numRows = select(step.numTokens, step.numRows, dims.ofRows == 1u);
  let tileRow = group.y * ${TILE}u;
  let tileColumn = group.x * ${TILE}u;
  let ownRow = lane / ${SIDE}u * ${OWN}u;
  let ownColumn = lane % ${SIDE}u * ${OWN}u;
${perRow((row) => `  var sum${row} = vec4<f32>(0.0);`)}
  for (var start = 0u; start < dims.inFeatures; start += ${DEPTH}u) {
    for (var i = lane; i < ${TILE * DEPTH}u; i += ${THREADS}u) {
      let k = start + i % ${DEPTH}u;
      let row = tileRow + i / ${DEPTH}u;
      let column = tileColumn + i / ${DEPTH}u;
      let at = i % ${DEPTH}u * ${TILE}u + i / ${DEPTH}u;
      xTile[i] = 0.0;
      weightTile[at] = 0.0;
      if (row < numRows && k < dims.inFeatures) {
        xTile[i] = x[row * dims.inFeatures + k];
      }
      if (column < dims.numColumns && k < dims.inFeatures) {
        weightTile[at] = weight[column * dims.inFeatures + k];
      }
    }
    workgroupBarrier();
    for (var k = 0u; k < ${DEPTH}u; k++) {
      let at = k * ${TILE}u + ownColumn;
      let four = vec4<f32>(weightTile[at], weightTile[at + 1u], weightTile[at + 2u], weightTile[at + 3u]);
${perRow((row) => `      sum${row} = fma(vec4<f32>(xTile[(ownRow + ${row}u) * ${DEPTH}u + k]), four, sum${row});`)}
    }
    workgroupBarrier();
  }
${perRow((row) => `  storeFour(numRows, tileRow + ownRow + ${row}u, tileColumn + ownColumn, sum${row});`)}
}

fn storeFour(numRows: u32, row: u32, first: u32, four: vec4<f32>) {
  for (var i = 0u; i < ${OWN}u; i++) {
    if (row < numRows && first + i < dims.numColumns) {
      let column = dims.firstColumn + first + i;
      let at = row * dims.outStride + column;
      let sum = ${bias ? "four[i] + bias[column]" : "four[i]"};
      if (dims.accumulate == 1u) {
        result[at] += sum;
      } else {
        result[at] = sum;
      }
    }
  }
}
`;
}

/**
 * @param dims buffer of `matmulDims(sizes)`
 * @param runs whether this form takes a step with so many rows
 */
export function matmul(sizes: MatmulSizes, buffers: MatmulBuffers, dims: string, runs: (numRows: number) => boolean): Dispatch {
  const { x, weight, bias, result } = buffers;
  const groupsX = groups(sizes.numColumns, TILE);
  return {
    label: `matmul ${weight}`,
    code: matmulWgsl(sizes),
    bindings: [uniform("step"), uniform(dims), read(x), read(weight), readWrite(result), ...(bias === undefined ? [] : [read(bias)])],
    workgroups: (step) => (runs(step[sizes.rows]) ? [groupsX, groups(step[sizes.rows], TILE), 1] : [0, 0, 0]),
  };
}

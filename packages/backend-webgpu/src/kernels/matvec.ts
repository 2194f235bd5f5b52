/**
 * matvec: what matmul computes, for few rows: an invocation has one column and goes over its weights once for up to
 * rowsPerThread rows of x. No workgroup memory, no barriers. The same order of summation as matmul.
 */
import type { MatmulBuffers, MatmulSizes } from "./matmul.js";
import { type Dispatch, groups, read, readWrite, STEP_STRUCT, uniform } from "./wgsl.js";

const THREADS = 64;

export function matvecWgsl(sizes: MatmulSizes, rowsPerThread: number): string {
  const { inFeatures, numColumns, firstColumn, outStride, bias, accumulate, rows } = sizes;
  const vector = inFeatures % 4 === 0;
  const element = vector ? "vec4<f32>" : "f32";
  const length = vector ? inFeatures / 4 : inFeatures;
  const perRow = (line: (row: number) => string): string => Array.from({ length: rowsPerThread }, (_, row) => line(row)).join("\n");
  return /* wgsl */ `
${STEP_STRUCT}
@group(0) @binding(0) var<uniform> step: Step;
@group(0) @binding(1) var<storage, read> x: array<${element}>; // [${rows}, ${length}]
@group(0) @binding(2) var<storage, read> weight: array<${element}>; // [${numColumns}, ${length}]
@group(0) @binding(3) var<storage, read_write> result: array<f32>; // [${rows}, ${outStride}]
${bias ? `@group(0) @binding(4) var<storage, read> bias: array<f32>; // [${outStride}]` : ""}

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let column = id.x;
  if (column >= ${numColumns}u) {
    return;
  }
  let first = id.y * ${rowsPerThread}u;
  let last = step.${rows} - 1u;
${perRow((row) => `  let row${row} = min(first + ${row}u, last) * ${length}u;\n  var sum${row} = 0.0;`)}
  for (var k = 0u; k < ${length}u; k++) {
    let w = weight[column * ${length}u + k];
${perRow((row) => `    sum${row} = next(x[row${row} + k], w, sum${row});`)}
  }
${perRow((row) => `  if (first + ${row}u <= last) {\n    store(first + ${row}u, ${firstColumn}u + column, sum${row});\n  }`)}
}

fn next(x: ${element}, w: ${element}, sum: f32) -> f32 {
  return ${vector ? "fma(x.w, w.w, fma(x.z, w.z, fma(x.y, w.y, fma(x.x, w.x, sum))))" : "fma(x, w, sum)"};
}

fn store(row: u32, column: u32, sum: f32) {
  let at = row * ${outStride}u + column;
  result[at] = ${accumulate ? "result[at] + " : ""}${bias ? "(sum + bias[column])" : "sum"};
}
`;
}

/** @param runs whether this form takes a step with so many rows */
export function matvec(sizes: MatmulSizes, buffers: MatmulBuffers, rowsPerThread: number, runs: (numRows: number) => boolean): Dispatch {
  const { x, weight, bias, result } = buffers;
  const groupsX = groups(sizes.numColumns, THREADS);
  return {
    label: `matvec ${weight} (${rowsPerThread})`,
    code: matvecWgsl(sizes, rowsPerThread),
    bindings: [uniform("step"), read(x), read(weight), readWrite(result), ...(bias === undefined ? [] : [read(bias)])],
    workgroups: (step) => (runs(step[sizes.rows]) ? [groupsX, groups(step[sizes.rows], rowsPerThread), 1] : [0, 0, 0]),
  };
}

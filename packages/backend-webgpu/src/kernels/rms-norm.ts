/**
 * rms-norm: out[i] = x[row] / sqrt(mean(x[row]^2) + epsilon) * weight, one workgroup per row. The row is the token's,
 * or, for the final norm, the one that `rows` names: only positions whose logits are wanted go on.
 * The sum is taken in one fixed order.
 */
import { type Dispatch, f32, read, readWrite } from "./wgsl.js";

const THREADS = 128;

export interface RmsNormSizes {
  readonly size: number;
  readonly epsilon: number;
  /** Rows are picked by `rows`. */
  readonly gather: boolean;
}

export function rmsNormWgsl({ size, epsilon, gather }: RmsNormSizes): string {
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read> x: array<f32>; // [numTokens, ${size}]
@group(0) @binding(1) var<storage, read> weight: array<f32>; // [${size}]
@group(0) @binding(2) var<storage, read_write> normed: array<f32>; // [numTokens or numRows, ${size}]
${gather ? "@group(0) @binding(3) var<storage, read> rows: array<i32>; // [numRows]" : ""}

var<workgroup> sums: array<f32, ${THREADS}>;

@compute @workgroup_size(${THREADS})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let start = ${gather ? "u32(rows[group.x])" : "group.x"} * ${size}u;
  var sum = 0.0;
  for (var i = lane; i < ${size}u; i += ${THREADS}u) {
    sum = fma(x[start + i], x[start + i], sum);
  }
  sums[lane] = sum;
  workgroupBarrier();
  for (var span = ${THREADS / 2}u; span > 0u; span >>= 1u) {
    if (lane < span) {
      sums[lane] += sums[lane + span];
    }
    workgroupBarrier();
  }
  let factor = 1.0 / sqrt(sums[0] / ${f32(size)} + ${f32(epsilon)});
  for (var i = lane; i < ${size}u; i += ${THREADS}u) {
    normed[group.x * ${size}u + i] = x[start + i] * factor * weight[i];
  }
}
`;
}

export function rmsNorm(sizes: RmsNormSizes, buffers: { readonly x: string; readonly weight: string; readonly normed: string }): Dispatch {
  return {
    label: `rms-norm ${buffers.weight}`,
    code: rmsNormWgsl(sizes),
    bindings: [read(buffers.x), read(buffers.weight), readWrite(buffers.normed), ...(sizes.gather ? [read("rows")] : [])],
    workgroups: ({ numTokens, numRows }) => [sizes.gather ? numRows : numTokens, 1, 1],
  };
}

/** gated-silu: out = silu(gate) * up, where gate and up are the two halves of a row. */
import { type Dispatch, groups, read, readWrite } from "./wgsl.js";

const THREADS = 64;

/** @param size of gate, of up and of the result */
export function gatedSiluWgsl(size: number): string {
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read> gateUp: array<f32>; // [numTokens, 2, ${size}]
@group(0) @binding(1) var<storage, read_write> gated: array<f32>; // [numTokens, ${size}]

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= ${size}u) {
    return;
  }
  let at = id.y * ${2 * size}u + id.x;
  let gate = gateUp[at];
  gated[id.y * ${size}u + id.x] = gate / (1.0 + exp(-gate)) * gateUp[at + ${size}u];
}
`;
}

export function gatedSilu(size: number, buffers: { readonly gateUp: string; readonly out: string }): Dispatch {
  const x = groups(size, THREADS);
  return {
    label: "gated-silu",
    code: gatedSiluWgsl(size),
    bindings: [read(buffers.gateUp), readWrite(buffers.out)],
    workgroups: ({ numTokens }) => [x, numTokens, 1],
  };
}

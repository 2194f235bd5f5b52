/**
 * embed: hidden[token] = table[id] * scale. A table larger than one binding lies in several buffers of whole rows;
 * each part has a dispatch of its own, which writes the tokens whose row it holds.
 */
import { type Dispatch, f32, groups, read, readWrite } from "./wgsl.js";

const THREADS = 64;

export interface EmbedSizes {
  readonly hiddenSize: number;
  /** Rows [firstRow, firstRow + numRows) of the table are in this part. */
  readonly firstRow: number;
  readonly numRows: number;
  readonly scale: number;
}

export function embedWgsl({ hiddenSize, firstRow, numRows, scale }: EmbedSizes): string {
  return /* wgsl */ `
@group(0) @binding(0) var<storage, read> tokens: array<vec4<i32>>;
@group(0) @binding(1) var<storage, read> table: array<f32>; // [${numRows}, ${hiddenSize}]
@group(0) @binding(2) var<storage, read_write> hidden: array<f32>; // [numTokens, ${hiddenSize}]

@compute @workgroup_size(${THREADS})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = tokens[id.y].x - ${firstRow};
  if (id.x >= ${hiddenSize}u || row < 0 || row >= ${numRows}) {
    return;
  }
  hidden[id.y * ${hiddenSize}u + id.x] = table[u32(row) * ${hiddenSize}u + id.x] * ${f32(scale)};
}
`;
}

export function embed(sizes: EmbedSizes, buffers: { readonly table: string; readonly hidden: string }): Dispatch {
  const x = groups(sizes.hiddenSize, THREADS);
  return {
    label: `embed ${buffers.table}`,
    code: embedWgsl(sizes),
    bindings: [read("tokens"), read(buffers.table), readWrite(buffers.hidden)],
    workgroups: ({ numTokens }) => [x, numTokens, 1],
  };
}

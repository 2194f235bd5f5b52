/** Rotary embedding of one head of one token, from the staging row into scratch. */
import { LAYER_COS, LAYER_HEAD_DIM, LAYER_INTERLEAVED, LAYER_ROTARY_DIM, LAYER_SIN } from "../kernel-abi";

/** Writes the rotated vector [headDim] f32; the dimensions past rotaryDim are copied. */
export function rotate(layer: usize, from: usize, position: i32, to: usize): void {
  const rotaryDim = load<i32>(layer, LAYER_ROTARY_DIM);
  const bytes = <usize>load<i32>(layer, LAYER_HEAD_DIM) << 2;
  copyVector(to, from, bytes);
  if (!rotaryDim) return;
  const row = (<usize>position * <usize>rotaryDim) << 1;
  const cos = load<usize>(layer, LAYER_COS) + row;
  const sin = load<usize>(layer, LAYER_SIN) + row;
  if (load<i32>(layer, LAYER_INTERLEAVED)) rotateNeighbours(from, to, cos, sin, rotaryDim);
  else rotateHalves(from, to, cos, sin, rotaryDim << 1);
}

/** `bytes` is a multiple of 16. Quicker than memory.copy for a head. */
// @ts-ignore: decorator
@inline
export function copyVector(to: usize, from: usize, bytes: usize): void {
  for (let i: usize = 0; i < bytes; i += 16) v128.store(to + i, v128.load(from + i));
}

/** Pairs (2i, 2i + 1). */
function rotateNeighbours(from: usize, to: usize, cos: usize, sin: usize, rotaryDim: i32): void {
  for (let i: usize = 0; i < <usize>rotaryDim; i += 2) {
    const c = load<f32>(cos + (i << 1));
    const s = load<f32>(sin + (i << 1));
    const x = load<f32>(from + (i << 2));
    const y = load<f32>(from + (i << 2), 4);
    store<f32>(to + (i << 2), x * c - y * s);
    store<f32>(to + (i << 2), y * c + x * s, 4);
  }
}

/** Pairs (i, i + rotaryDim / 2); `half` in bytes. */
function rotateHalves(from: usize, to: usize, cos: usize, sin: usize, half: usize): void {
  let i: usize = 0;
  for (; i + 16 <= half; i += 16) {
    const c = v128.load(cos + i);
    const s = v128.load(sin + i);
    const x = v128.load(from + i);
    const y = v128.load(from + half + i);
    v128.store(to + i, f32x4.sub(f32x4.mul(x, c), f32x4.mul(y, s)));
    v128.store(to + half + i, f32x4.add(f32x4.mul(y, c), f32x4.mul(x, s)));
  }
  for (; i < half; i += 4) {
    const c = load<f32>(cos + i);
    const s = load<f32>(sin + i);
    const x = load<f32>(from + i);
    const y = load<f32>(from + half + i);
    store<f32>(to + i, x * c - y * s);
    store<f32>(to + half + i, y * c + x * s);
  }
}

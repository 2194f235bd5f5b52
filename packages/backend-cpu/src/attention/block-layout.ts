/**
 * How the keys and values of one block of one layer lie in memory: K of all kv heads, then V of all kv heads, and for
 * int8 the scales behind each. Attention reads a block in this order, so the hardware prefetcher sees one stream.
 */
import { InvalidOptionsError, type CpuAttentionLayer, type KvDtype } from "@weir/core";

export type CacheDtype = "f32" | "int8";

export interface BlockLayout {
  /**
   * Byte offsets in a block; K is at 0.
   * f32: K [kvHead][headDim][blockSize], V [kvHead][blockSize][vHeadDim].
   * int8: K [kvHead][headDim / 2][blockSize][2], V [kvHead][blockSize / 2][vHeadDim][2], scales [kvHead][blockSize] f32.
   */
  readonly kScales: number;
  readonly v: number;
  readonly vScales: number;
  /** From block to block, a multiple of 64 */
  readonly bytes: number;
}

export function blockLayout(layer: CpuAttentionLayer, blockSize: number, dtype: CacheDtype): BlockLayout {
  const elementBytes = dtype === "f32" ? 4 : 1;
  const positions = layer.numKvHeads * blockSize;
  const scaleBytes = dtype === "f32" ? 0 : positions * 4;
  const kScales = positions * layer.headDim * elementBytes;
  const v = kScales + scaleBytes;
  const vScales = v + positions * layer.vHeadDim * elementBytes;
  return { kScales, v, vScales, bytes: align(vScales + scaleBytes, 64) };
}

/** @throws InvalidOptionsError for a dtype that the kernels have no layout for */
export function cacheDtype(dtype: KvDtype): CacheDtype {
  if (dtype === "f32" || dtype === "int8") return dtype;
  throw new InvalidOptionsError(`kvDtype '${dtype}': this attention kernel stores f32 or int8; choose one of them`);
}

export function align(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

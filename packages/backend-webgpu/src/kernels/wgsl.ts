/**
 * What all kernels share: the dispatch type over any buffer name, the step's uniform, literals of WGSL.
 * Every kernel file gives a function from sizes to WGSL text, and one that binds it to named buffers.
 */
import type { WgslBinding, WgslDispatch } from "@weir/core";

/** A dispatch over the program's buffers, which have more names than the attention contract's. */
export type Dispatch = WgslDispatch<string>;

/** As the runner uploads it; `var<uniform> step: Step`. */
export const STEP_STRUCT = `struct Step { numTokens: u32, numSeqs: u32, numRows: u32, maxBlocksPerSeq: u32 }`;

export function read(buffer: string): WgslBinding<string> {
  return { buffer, access: "read" };
}

export function readWrite(buffer: string): WgslBinding<string> {
  return { buffer, access: "read-write" };
}

export function uniform(buffer: string): WgslBinding<string> {
  return { buffer, access: "uniform" };
}

/** A finite number as an f32 literal: WGSL takes `1` for an integer. */
export function f32(value: number): string {
  return `${Math.fround(value)}f`;
}

/** Workgroups of `size` invocations for `count` items. */
export function groups(count: number, size: number): number {
  return Math.ceil(count / size);
}

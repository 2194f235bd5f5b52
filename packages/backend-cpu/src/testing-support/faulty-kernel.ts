/** The failing test kernel as a user would inject it, with the counts it shares with the test. */
import type { CpuAttentionKernel } from "@weir/core";
import { wasmAttention } from "../cpu-backend.js";

export interface Fault {
  readonly how: "throw" | "exit" | "memory" | "uncaught";
  /** Steps, counted from 0 over all lives of the worker. */
  readonly failAt?: readonly number[];
  /** Instead: the step of each life of the worker. */
  readonly failInLife?: number;
}

export interface FaultyKernel {
  readonly kernel: CpuAttentionKernel;
  /** Steps begun so far. */
  readonly steps: () => number;
  /** Workers that loaded the kernel so far. */
  readonly lives: () => number;
}

export function faultyKernel(fault: Fault): FaultyKernel {
  const counts = new Int32Array(new SharedArrayBuffer(8));
  const module = new URL("./faulty-attention.mjs", import.meta.url).href;
  return {
    kernel: { name: "faulty", backend: "cpu", module, options: { base: wasmAttention.module, counts, ...fault } },
    steps: () => Atomics.load(counts, 0),
    lives: () => Atomics.load(counts, 1),
  };
}

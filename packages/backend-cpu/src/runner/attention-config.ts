/** From a ModelSpec and a load request to what an attention kernel is told: sizes and rotary tables, no tensor names. */
import {
  NotSupportedError,
  ropeTables,
  type AttentionSpec,
  type CpuAttentionConfig,
  type CpuAttentionLayer,
  type RopeSpec,
  type RopeTable,
} from "@weir/core";
import type { LoadRequest } from "./messages.js";

/** Layers with equal RopeSpecs share a table. */
export function attentionConfig({ spec, limits, kvDtype, threads, strict }: LoadRequest): CpuAttentionConfig {
  const tables = new Map<string, number>();
  const ropes: RopeTable[] = [];
  const ropeIndex = (rope: RopeSpec | undefined): number => {
    if (!rope) return -1;
    const key = JSON.stringify(rope);
    const known = tables.get(key);
    if (known !== undefined) return known;
    const { rotaryDim, interleaved = false } = rope;
    tables.set(key, ropes.push({ rotaryDim, interleaved, ...ropeTables(rope, limits.maxModelLen) }) - 1);
    return ropes.length - 1;
  };
  const layers = spec.layers.map(({ attention }) => layerConfig(attention, ropeIndex(attention.rope)));
  // A padded step has one row more than its tokens; the buffers between the segments must hold it.
  const { maxNumBatchedTokens } = limits;
  const padded = { ...limits, maxNumBatchedTokens: maxNumBatchedTokens + (maxNumBatchedTokens % 2) };
  return { layers, ropes, limits: padded, kvDtype, threads, strict };
}

function layerConfig(attention: AttentionSpec, rope: number): CpuAttentionLayer {
  const { numHeads, numKvHeads, headDim, vHeadDim, scale, window = 0, softcap = 0, causal, sinks } = attention;
  if (!causal || sinks !== undefined) {
    throw new NotSupportedError(
      `the CPU backend runs causal attention without sinks; this model asks for ${causal ? "sinks" : "full attention"}`,
    );
  }
  return { numHeads, numKvHeads, headDim, vHeadDim, scale, window, softcap, rope };
}

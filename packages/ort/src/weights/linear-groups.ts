/**
 * Which linears are computed by one matrix product. In: a ModelSpec. Out: groups of linears that share their input;
 * their rows are stored one after another where all are of one kind.
 */
import type { LayerSpec, LinearSpec, ModelSpec } from "@weir/core";

export interface LinearGroup {
  /** Unique in the model, e.g. "layers.3.qkv"; names the group in the weight cache, in graphs and in profiles. */
  readonly key: string;
  readonly parts: readonly LinearSpec[];
  /** Store the parts as one matrix where their kinds allow. */
  readonly fuse: boolean;
}

export interface LayerGroups {
  readonly qkv: LinearGroup;
  readonly o: LinearGroup;
  /** [gate, up], or [up]. */
  readonly up: LinearGroup;
  readonly down: LinearGroup;
}

export interface ModelGroups {
  readonly layers: readonly LayerGroups[];
  readonly head: LinearGroup;
}

export function linearGroups(spec: ModelSpec): ModelGroups {
  return { layers: spec.layers.map(layerGroups), head: { key: "head", parts: [spec.head.linear], fuse: false } };
}

/** All groups in the order of the computation. */
export function allGroups(groups: ModelGroups): LinearGroup[] {
  return [...groups.layers.flatMap(({ qkv, o, up, down }) => [qkv, o, up, down]), groups.head];
}

function layerGroups({ attention, mlp }: LayerSpec, index: number): LayerGroups {
  const group = (name: string, parts: readonly LinearSpec[], fuse = false): LinearGroup => ({
    key: `layers.${index}.${name}`,
    parts,
    fuse,
  });
  return {
    qkv: group("qkv", [attention.q, attention.k, attention.v], true),
    // Measured: gate and up as one product are 10 % slower from 128 rows on (bench/LOG.md).
    o: group("o", [attention.o]),
    up: group("up", mlp.gate ? [mlp.gate, mlp.up] : [mlp.up]),
    down: group("down", [mlp.down]),
  };
}

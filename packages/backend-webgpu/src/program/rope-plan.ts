/** RopePlan: one table of rotations per distinct RopeSpec; layers with equal ones share it. */
import { ropeTables, type RopeSpec } from "@weir/core";

export class RopePlan {
  /** Buffer name to its spec. */
  readonly tables: Map<string, RopeSpec> = new Map();
  readonly #names = new Map<string, string>();

  /** @returns the table's buffer */
  add(rope: RopeSpec): string {
    const key = JSON.stringify(rope);
    const known = this.#names.get(key);
    if (known !== undefined) return known;
    const name = `rope.${this.#names.size}`;
    this.#names.set(key, name);
    this.tables.set(name, rope);
    return name;
  }
}

/** [maxModelLen, rotaryDim / 2] vec2<f32>: cos, sin. */
export function ropeTable(rope: RopeSpec, maxModelLen: number): Float32Array<ArrayBuffer> {
  const { cos, sin } = ropeTables(rope, maxModelLen);
  const table = new Float32Array(2 * cos.length);
  for (let i = 0; i < cos.length; i++) {
    table[2 * i] = cos[i]!;
    table[2 * i + 1] = sin[i]!;
  }
  return table;
}

/**
 * TensorCache: OrtValues over the first rows of a step's buffers, shared by all segments of a model.
 * A step with a number of rows seen lately makes no values; else one per buffer, about a microsecond each.
 * Bounded: the row count used longest ago is dropped, and `generation` tells holders that pointers may be gone.
 */
import type { OrtLibrary } from "../capi/library.js";
import type { CpuMemoryInfo } from "../capi/memory-info.js";
import { OrtValue } from "../capi/ort-value.js";
import type { TensorArray } from "../capi/ort-value.js";

const MAX_ROW_COUNTS = 64;

export class TensorCache {
  readonly #library: OrtLibrary;
  readonly #memory: CpuMemoryInfo;
  /** rows -> buffer -> value; the order of keys is the order of use. */
  readonly #values = new Map<number, Map<TensorArray, OrtValue>>();
  #lastRows = -1;
  #generation = 0;

  constructor(library: OrtLibrary, memory: CpuMemoryInfo) {
    this.#library = library;
    this.#memory = memory;
  }

  /** Changes whenever values were disposed. */
  get generation(): number {
    return this.#generation;
  }

  /** The first `rows` rows of `array`; width 0 means scalars. Owned by the cache. */
  get(array: TensorArray, rows: number, width: number): OrtValue {
    const ofRows = this.#ofRows(rows);
    let value = ofRows.get(array);
    if (!value) {
      value = new OrtValue(this.#library, this.#memory, array, width === 0 ? [rows] : [rows, width]);
      ofRows.set(array, value);
    }
    return value;
  }

  dispose(): void {
    for (const rows of [...this.#values.keys()]) this.#drop(rows);
  }

  #ofRows(rows: number): Map<TensorArray, OrtValue> {
    let found = this.#values.get(rows);
    if (rows === this.#lastRows && found) return found;
    // Two row counts are in use in a step (tokens and logits rows): the oldest is never one of them.
    if (!found && this.#values.size >= MAX_ROW_COUNTS) this.#drop(this.#values.keys().next().value!);
    found ??= new Map();
    this.#values.delete(rows);
    this.#values.set(rows, found);
    this.#lastRows = rows;
    return found;
  }

  #drop(rows: number): void {
    for (const value of this.#values.get(rows)!.values()) value.dispose();
    this.#values.delete(rows);
    this.#lastRows = -1;
    this.#generation++;
  }
}

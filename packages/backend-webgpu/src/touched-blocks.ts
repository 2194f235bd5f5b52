/** Which KV blocks were written at least once: what `memory()` calls committed. */
import type { ModelLimits } from "@weir/core";

export class TouchedBlocks {
  count = 0;
  readonly #blockSize: number;
  /** [numBlocks] u8 */
  readonly #touched: Uint8Array;

  constructor({ numBlocks, blockSize }: ModelLimits) {
    this.#blockSize = blockSize;
    this.#touched = new Uint8Array(numBlocks);
  }

  add(block: number): void {
    if (this.#touched[block] !== 0) return;
    this.#touched[block] = 1;
    this.count++;
  }

  /** @param slots the first `count` are valid; -1 = not stored */
  addSlots(slots: Int32Array, count: number): void {
    for (let i = 0; i < count; i++) if (slots[i]! >= 0) this.add(Math.floor(slots[i]! / this.#blockSize));
  }

  clear(): void {
    this.#touched.fill(0);
    this.count = 0;
  }
}

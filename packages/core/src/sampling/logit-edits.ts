/**
 * The undo log of a row: which logits were changed and what they were. The sampler edits the caller's row in place
 * (bias, penalties) and puts it back afterwards, so that no row is ever copied and raw logits stay at hand.
 */

export class LogitEdits {
  #count = 0;
  /** [count] i32; grow */
  #ids = new Int32Array(256);
  /** [count] f32, the values before */
  #before = new Float32Array(256);

  set(logits: Float32Array, id: number, value: number): void {
    if (this.#count === this.#ids.length) this.#grow();
    this.#ids[this.#count] = id;
    this.#before[this.#count++] = logits[id]!;
    logits[id] = value;
  }

  /** Backwards, because an id may have been changed twice. */
  undo(logits: Float32Array): void {
    while (this.#count > 0) {
      this.#count--;
      logits[this.#ids[this.#count]!] = this.#before[this.#count]!;
    }
  }

  #grow(): void {
    const ids = new Int32Array(this.#ids.length * 2);
    const before = new Float32Array(ids.length);
    ids.set(this.#ids);
    before.set(this.#before);
    this.#ids = ids;
    this.#before = before;
  }
}

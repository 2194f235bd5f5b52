/**
 * StopStrings: finds the first of several stop strings in a text that arrives in pieces, holding back only what
 * could still become one. The result does not depend on where the pieces are cut.
 * One Knuth-Morris-Pratt automaton per string; O(1) amortised per UTF-16 unit and string.
 */

export class StopStrings {
  readonly #patterns: readonly string[];
  /** [patterns][pattern.length] length of the longest border of each prefix */
  readonly #borders: readonly Int32Array[];
  /** [patterns] units of each pattern matched by the end of the text so far */
  readonly #matched: Int32Array;
  readonly #include: boolean;
  #held = "";
  #found: string | undefined;

  /** @param include keep the stop string in the text */
  constructor(patterns: readonly string[], include: boolean) {
    this.#patterns = patterns;
    this.#borders = patterns.map(borders);
    this.#matched = new Int32Array(patterns.length);
    this.#include = include;
  }

  /** The stop string that ended the text, once there was one. Of several that end together, the longest. */
  get found(): string | undefined {
    return this.#found;
  }

  /** @returns text that can no longer be part of a stop string; up to the stop string once found */
  push(delta: string): string {
    if (this.#found !== undefined) return "";
    const text = this.#held + delta;
    for (let i = this.#held.length; i < text.length; i++) {
      const found = this.#advance(text.charCodeAt(i));
      if (found < 0) continue;
      this.#found = this.#patterns[found]!;
      this.#held = "";
      return text.slice(0, this.#include ? i + 1 : i + 1 - this.#found.length);
    }
    const hold = this.#matched.reduce((longest, length) => Math.max(longest, length), 0);
    this.#held = hold === 0 ? "" : text.slice(text.length - hold);
    return hold === 0 ? text : text.slice(0, text.length - hold);
  }

  /** What was held back, when the output ends for another reason. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    return held;
  }

  /** @returns the longest pattern that ends with `unit`, or -1 */
  #advance(unit: number): number {
    let found = -1;
    for (let p = 0; p < this.#patterns.length; p++) {
      const pattern = this.#patterns[p]!;
      let length = this.#matched[p]!;
      while (length > 0 && pattern.charCodeAt(length) !== unit) length = this.#borders[p]![length - 1]!;
      if (pattern.charCodeAt(length) === unit) length++;
      this.#matched[p] = length;
      if (length === pattern.length && (found < 0 || length > this.#patterns[found]!.length)) found = p;
    }
    return found;
  }
}

function borders(pattern: string): Int32Array {
  const table = new Int32Array(pattern.length);
  for (let i = 1, length = 0; i < pattern.length; i++) {
    while (length > 0 && pattern.charCodeAt(i) !== pattern.charCodeAt(length)) length = table[length - 1]!;
    if (pattern.charCodeAt(i) === pattern.charCodeAt(length)) length++;
    table[i] = length;
  }
  return table;
}

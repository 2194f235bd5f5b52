/**
 * IncrementalDetokenizer: ids in, text deltas out; never half a character, never text that changes later.
 * It decodes a window of a few ids around the end, so each push costs the same however long the output is
 * (the idea of vLLM's prefix and read offsets). Made by HfTokenizer; knows nothing of vocabularies.
 */
import type { Detokenizer } from "../contracts/index.js";

/** Ids of context, or of the last delta, that are decoded along: what a decoder may look back at. */
const CONTEXT_IDS = 6;
/** Held-back ids after which the oldest are given out even so: a character has 4 bytes. */
const MAX_PENDING = 12;
const REPLACEMENT = "\ufffd";

export class IncrementalDetokenizer implements Detokenizer {
  readonly #decode: (ids: readonly number[]) => string;
  /** Whether an id adds no text and no boundary, as skipped special tokens do. */
  readonly #skip: (id: number) => boolean;
  /** Ids whose text was given out. */
  #context: readonly number[];
  #contextText: string;
  #pending: number[] = [];

  /** @param context ids before the first pushed one; they add no text */
  constructor(decode: (ids: readonly number[]) => string, skip: (id: number) => boolean, context: ArrayLike<number> = []) {
    this.#decode = decode;
    this.#skip = skip;
    this.#context = lastIds(context, skip);
    this.#contextText = decode(this.#context);
  }

  push(id: number): string {
    if (this.#skip(id)) return "";
    this.#pending.push(id);
    const text = this.#decode([...this.#context, ...this.#pending]);
    if (!text.endsWith(REPLACEMENT) && text.length > this.#contextText.length) return this.#give(this.#pending.length, text);
    return this.#pending.length < MAX_PENDING ? "" : this.#giveOldest();
  }

  flush(): string {
    return this.#give(this.#pending.length, this.#decode([...this.#context, ...this.#pending]));
  }

  /** All held-back text ends in U+FFFD: only its last 4 ids can still become a character. */
  #giveOldest(): string {
    const count = this.#pending.length - 4;
    return this.#give(count, this.#decode([...this.#context, ...this.#pending.slice(0, count)]));
  }

  /** @param text of the context and the `count` oldest pending ids */
  #give(count: number, text: string): string {
    const delta = text.slice(sharedPrefix(text, this.#contextText));
    const given = this.#pending.splice(0, count);
    // Ids without text cannot serve as context: a decoder that strips a leading space would strip again.
    if (delta !== "") {
      this.#context = given.slice(-MAX_PENDING);
      this.#contextText = this.#decode(this.#context);
    }
    return delta;
  }
}

function lastIds(ids: ArrayLike<number>, skip: (id: number) => boolean): number[] {
  const last: number[] = [];
  for (let i = ids.length - 1; i >= 0 && last.length < CONTEXT_IDS; i--) {
    if (!skip(ids[i]!)) last.unshift(ids[i]!);
  }
  return last;
}

/** Length of the common prefix, not ending inside a surrogate pair. */
function sharedPrefix(text: string, prefix: string): number {
  if (text.startsWith(prefix)) return prefix.length;
  let length = 0;
  while (length < prefix.length && text[length] === prefix[length]) length++;
  return length > 0 && /[\uD800-\uDBFF]/.test(text[length - 1]!) ? length - 1 : length;
}

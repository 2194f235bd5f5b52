/**
 * TextOutput: a request's token ids as text: detokenizer, then stop strings. Without a tokenizer the text is empty.
 * Deltas of `push` and the rest of `flush`, joined, are the whole output.
 */
import type { Detokenizer } from "../contracts/index.js";
import { StopStrings } from "./stop-strings.js";

export class TextOutput {
  readonly #detokenizer: Detokenizer | undefined;
  readonly #stops: StopStrings | undefined;

  constructor(detokenizer: Detokenizer | undefined, stop: readonly string[], includeStopString: boolean) {
    this.#detokenizer = detokenizer;
    this.#stops = stop.length > 0 ? new StopStrings(stop, includeStopString) : undefined;
  }

  /** A stop string was found: the output is over. */
  get stopped(): boolean {
    return this.#stops?.found !== undefined;
  }

  /**
   * @param matchStops false while the request must not stop yet: the text passes unseen
   * @returns text that became certain; may be empty
   */
  push(id: number, matchStops: boolean): string {
    if (!this.#detokenizer) return "";
    const delta = this.#detokenizer.push(id);
    return this.#stops && matchStops ? this.#stops.push(delta) : delta;
  }

  /** What is held back when the output ends. Half a character becomes U+FFFD. */
  flush(): string {
    if (!this.#detokenizer || this.stopped) return "";
    const rest = this.#detokenizer.flush();
    return this.#stops ? this.#stops.push(rest) + this.#stops.flush() : rest;
  }
}

/**
 * HeaderScanner: reads exactly the JSON that a safetensors header may be, one value at a time.
 * It knows objects of depth two, strings and arrays of non-negative integers; anything else is an error at
 * once, so nesting can not run away. Called by the header parser, which knows what the values mean.
 */
import { ModelLoadError } from "../errors/index.js";

const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?[0-9][0-9.eE+-]*/y;
const INTEGER = /^(?:0|[1-9][0-9]{0,15})$/;

export class HeaderScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Reads `{...}`, calling `field` where a value is to be read. Duplicate keys are an error. */
  object(what: string, field: (key: string) => void): void {
    const keys = new Set<string>();
    this.#list("{", "}", what, () => {
      const key = this.string(`a key of ${what}`);
      if (keys.has(key)) throw new ModelLoadError(`safetensors header: ${what} holds ${JSON.stringify(key)} twice`);
      keys.add(key);
      this.#expect(":", what);
      field(key);
    });
  }

  stringMap(what: string): ReadonlyMap<string, string> {
    const map = new Map<string, string>();
    this.object(what, (key) => map.set(key, this.string(`${key} of ${what}`)));
    return map;
  }

  /** At most `most` integers from 0 to 2^53 - 1. */
  integers(what: string, most: number): readonly number[] {
    const values: number[] = [];
    this.#list("[", "]", what, () => {
      const text = this.#match(NUMBER, what, "non-negative integers");
      const value = Number(text);
      if (!INTEGER.test(text) || !Number.isSafeInteger(value)) {
        throw new ModelLoadError(`safetensors header: ${what} holds ${text.slice(0, 30)}; it must be an integer from 0 to 2^53 - 1`);
      }
      if (values.push(value) > most) throw new ModelLoadError(`safetensors header: ${what} has more than ${most} entries`);
    });
    return values;
  }

  string(what: string): string {
    this.#skipSpace();
    const start = this.#at;
    if (this.#text[start] !== '"') this.#fail(what, "a string");
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    const literal = this.#text.slice(start, end + 1);
    this.#at = end + 1;
    try {
      return JSON.parse(literal) as string;
    } catch (cause) {
      throw new ModelLoadError(`safetensors header: ${what} is not a valid JSON string`, { cause });
    }
  }

  /** Only padding may follow. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail("the header", "nothing after its closing brace");
  }

  #list(open: string, close: string, what: string, item: () => void): void {
    this.#expect(open, what);
    if (this.#accept(close)) return;
    do item();
    while (this.#accept(","));
    this.#expect(close, what);
  }

  #match(pattern: RegExp, what: string, expected: string): string {
    this.#skipSpace();
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) this.#fail(what, expected);
    this.#at += found.length;
    return found;
  }

  #expect(character: string, what: string): void {
    if (!this.#accept(character)) this.#fail(what, JSON.stringify(character));
  }

  #accept(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    SPACE.lastIndex = this.#at;
    this.#at += SPACE.exec(this.#text)![0].length;
  }

  #fail(what: string, expected: string): never {
    const seen = this.#at < this.#text.length ? JSON.stringify(this.#text.slice(this.#at, this.#at + 20)) : "the end";
    throw new ModelLoadError(`safetensors header: ${what} needs ${expected} at character ${this.#at}, not ${seen}`);
  }
}

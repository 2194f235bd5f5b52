/**
 * AddedTokens: finds a tokenizer's added tokens in text, before or after normalization.
 * In: tokenizer.json's `added_tokens`. Out: sections of text, each plain or one added token.
 * Follows Hugging Face's rules: longest match first, `single_word`, whitespace taken by `lstrip` and `rstrip`.
 */
import type { TextSpan } from "../contracts/index.js";

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  readonly normalized: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly singleWord: boolean;
}

/** A piece of the text; `token` where it is an added one. */
export interface Section {
  readonly start: number;
  readonly end: number;
  readonly token?: AddedToken;
}

export class AddedTokenMatcher {
  readonly #tokens = new Map<string, AddedToken>();
  readonly #pattern: RegExp | undefined;

  /** @param contentOf what to look for; the normalized content for a matcher of normalized text */
  constructor(tokens: Iterable<AddedToken>, contentOf: (token: AddedToken) => string = (token) => token.content) {
    for (const token of tokens) this.#tokens.set(contentOf(token), token);
    // The alternation takes the first that fits, so the longest must come first.
    const contents = [...this.#tokens.keys()].filter((content) => content !== "").sort((a, b) => b.length - a.length);
    if (contents.length > 0) this.#pattern = new RegExp(contents.map(escapeRegExp).join("|"), "g");
  }

  /**
   * @param literal spans, ascending, in which nothing special is recognised; a match that touches one is text
   */
  split(text: string, literal: readonly TextSpan[] = []): readonly Section[] {
    if (!this.#pattern) return text === "" ? [] : [{ start: 0, end: text.length }];
    const sections: Section[] = [];
    let done = 0;
    let nextLiteral = 0;
    this.#pattern.lastIndex = 0;
    for (let match = this.#pattern.exec(text); match; match = this.#pattern.exec(text)) {
      const token = this.#tokens.get(match[0])!;
      const matchEnd = match.index + match[0].length;
      while (nextLiteral < literal.length && literal[nextLiteral]!.end <= match.index) nextLiteral++;
      const touches = token.special && nextLiteral < literal.length && literal[nextLiteral]!.start < matchEnd;
      if (touches || (token.singleWord && !isWord(text, match.index, matchEnd))) {
        // What begins inside a refused match may be a token of its own.
        this.#pattern.lastIndex = match.index + 1;
        continue;
      }
      const start = token.lstrip ? spaceBefore(text, match.index, done) : match.index;
      const end = token.rstrip ? spaceAfter(text, matchEnd) : matchEnd;
      if (start > done) sections.push({ start: done, end: start });
      sections.push({ start, end, token });
      done = end;
      this.#pattern.lastIndex = end;
    }
    if (done < text.length) sections.push({ start: done, end: text.length });
    return sections;
  }
}

function escapeRegExp(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}

function isWord(text: string, start: number, end: number): boolean {
  const wordCharacter = /[\p{L}\p{N}_]/u;
  return !wordCharacter.test(text.charAt(start - 1)) && !wordCharacter.test(text.charAt(end));
}

function spaceBefore(text: string, index: number, least: number): number {
  while (index > least && /\s/.test(text[index - 1]!)) index--;
  return index;
}

function spaceAfter(text: string, index: number): number {
  while (index < text.length && /\s/.test(text[index]!)) index++;
  return index;
}

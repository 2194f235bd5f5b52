import { describe, expect, it } from "vitest";
import { type AddedToken, AddedTokenMatcher } from "./added-tokens.js";

const token = (content: string, change: Partial<AddedToken> = {}): AddedToken => ({
  id: 1,
  content,
  special: true,
  normalized: false,
  lstrip: false,
  rstrip: false,
  singleWord: false,
  ...change,
});

describe("AddedTokenMatcher", () => {
  it("takes the longest token that begins first", () => {
    expect(split([token("<a>"), token("<a><b>"), token("a")], "x<a><b><a>")).toEqual(["x", "[<a><b>]", "[<a>]"]);
  });

  it("gives white space to tokens that strip it", () => {
    expect(split([token("<m>", { lstrip: true, rstrip: true })], "a  <m> \n b")).toEqual(["a", "[  <m> \n ]", "b"]);
  });

  it("matches single words only between other characters", () => {
    expect(split([token("yes", { singleWord: true })], "yes yesterday yes!")).toEqual(["[yes]", " yesterday ", "[yes]", "!"]);
  });

  it("sees no special token that touches a literal span, but one that begins inside of a refused match", () => {
    const tokens = [token("<s>"), token("s><e>")];
    expect(split(tokens, "<s><e>", [{ start: 0, end: 1 }])).toEqual(["<", "[s><e>]"]);
    expect(split(tokens, "<s><s>", [{ start: 3, end: 6 }])).toEqual(["[<s>]", "<s>"]);
    expect(split([token("<t>", { special: false })], "<t>", [{ start: 0, end: 3 }])).toEqual(["[<t>]"]);
  });

  it("takes contents as they are, not as patterns", () => {
    expect(split([token("[a-z]+")], "abc[a-z]+")).toEqual(["abc", "[[a-z]+]"]);
    expect(split([], "")).toEqual([]);
  });
});

function split(tokens: readonly AddedToken[], text: string, literal: { start: number; end: number }[] = []): string[] {
  const sections = new AddedTokenMatcher(tokens).split(text, literal);
  return sections.map(({ start, end, token: found }) => (found ? `[${text.slice(start, end)}]` : text.slice(start, end)));
}

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { StopStrings } from "./stop-strings.js";
import { TextOutput } from "./text-output.js";

const run = (stops: StopStrings, pieces: readonly string[]): string => pieces.map((piece) => stops.push(piece)).join("");

describe("StopStrings", () => {
  it("finds a stop string across pieces and gives out nothing of it", () => {
    const stops = new StopStrings(["END"], false);
    expect(run(stops, ["abcE", "N", "Dxyz", "more"])).toBe("abc");
    expect(stops.found).toBe("END");
    expect(stops.flush()).toBe("");
  });

  it("holds back only what could still become a stop string, and gives it out when it does not", () => {
    const stops = new StopStrings(["aab"], false);
    expect(stops.push("xaa")).toBe("x");
    expect(stops.push("a")).toBe("a");
    expect(stops.push("c")).toBe("aac");
    expect(stops.push("a")).toBe("");
    expect(stops.flush()).toBe("a");
  });

  it("keeps the stop string when asked to, and takes the longest of those that end together", () => {
    expect(run(new StopStrings(["b", "ab"], true), ["xab", "c"])).toBe("xab");
    expect(run(new StopStrings(["b", "ab"], false), ["xab"])).toBe("x");
    expect(run(new StopStrings(["abc", "b"], false), ["xab", "c"])).toBe("xa");
  });

  it("takes a stop string that is the whole output, and characters outside the basic plane", () => {
    expect(run(new StopStrings(["whole"], false), ["whole"])).toBe("");
    expect(run(new StopStrings(["😀!"], false), ["a😀", "?😀", "!b"])).toBe("a😀?");
  });

  it("gives the text before the match that ends first, however the text is cut", () => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(fc.array(letters, { minLength: 1, maxLength: 4 }), fc.array(letters, { maxLength: 12 }), (patterns, pieces) => {
        const text = pieces.join("");
        const ends = patterns.map((pattern) => (text.includes(pattern) ? text.indexOf(pattern) + pattern.length : Infinity));
        const end = Math.min(...ends);
        const longest = Math.max(...patterns.filter((_, i) => ends[i] === end).map((pattern) => pattern.length));
        const stops = new StopStrings(patterns, false);
        const out = run(stops, pieces) + stops.flush();
        expect(out).toBe(end === Infinity ? text : text.slice(0, end - longest));
      }),
      { numRuns: 2000 },
    );
  });

  it("takes time in proportion to the text, not to text times pattern", () => {
    const pattern = `${"a".repeat(511)}b`;
    const stops = new StopStrings(
      Array.from({ length: 16 }, () => pattern),
      false,
    );
    const start = performance.now();
    for (let i = 0; i < 20_000; i++) stops.push("a");
    expect(performance.now() - start).toBeLessThan(2000);
    expect(stops.flush()).toHaveLength(511);
  });
});

describe("TextOutput", () => {
  it("joins what the detokenizer holds back with what the stop strings do", () => {
    const detokenizer = { push: (id: number) => (id === 0 ? "" : "xE"), flush: () => "N" };
    const output = new TextOutput(detokenizer, ["END"], false);
    expect(output.push(0, true) + output.push(1, true)).toBe("x");
    expect(output.flush()).toBe("EN");
  });

  it("has no text without a detokenizer", () => {
    const output = new TextOutput(undefined, [], false);
    expect(output.push(1, true) + output.flush()).toBe("");
    expect(output.stopped).toBe(false);
  });
});

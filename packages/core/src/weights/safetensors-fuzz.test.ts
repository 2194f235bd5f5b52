import { describe, expect, it } from "vitest";
import { goodFile, mutate, outcome } from "./safetensors-fuzz.js";

describe("a safetensors file", () => {
  it("loads as it is", () => {
    expect(outcome(goodFile())).toBe("loaded");
  });

  it("cut at any point is a typed error", () => {
    const file = goodFile();
    for (let length = 0; length < file.length; length++) expect(outcome(file.slice(0, length))).not.toBe("loaded");
  });

  it("changed at random loads whole or fails with a typed error", () => {
    const seen = new Map<string, number>();
    for (let seed = 0; seed < 1500; seed++) {
      const result = outcome(mutate(goodFile(), seed)).replaceAll(/[\d"'].*$/gs, "");
      seen.set(result, (seen.get(result) ?? 0) + 1);
    }
    // The mutations must reach more than the first checks.
    expect(seen.size).toBeGreaterThan(10);
    expect(seen.get("loaded")).toBeGreaterThan(0);
  });
});

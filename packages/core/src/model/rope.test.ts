import { describe, expect, it } from "vitest";
import { ropeTables } from "./rope.js";

const plain = { theta: 10_000, rotaryDim: 8 };

describe("ropeTables", () => {
  it("turns pair i at position p by p / theta^(2i / rotaryDim)", () => {
    const { cos, sin } = ropeTables(plain, 40);
    expect(cos.length).toBe(40 * 4);
    expect(cos[37 * 4 + 1]).toBeCloseTo(Math.cos(37 / 10), 6);
    expect(sin[37 * 4 + 2]).toBeCloseTo(Math.sin(37 / 100), 6);
  });

  it("slows all pairs alike with linear scaling", () => {
    const scaled = ropeTables({ ...plain, scaling: { type: "linear", factor: 4 } }, 41);
    const unscaled = ropeTables(plain, 11);
    expectRow(scaled.cos, 40, unscaled.cos, 10);
  });

  it("is plain up to the original length with dynamic scaling, and decodes beyond it as Hugging Face with a cache", () => {
    const scaling = { type: "dynamic", factor: 2, originalMaxPositions: 16 } as const;
    const dynamic = ropeTables({ ...plain, scaling }, 40);
    const unscaled = ropeTables(plain, 16);
    expect([...dynamic.cos.subarray(0, 64)]).toEqual([...unscaled.cos]);
    // Position 31 is reached with 32 tokens: base * (2 * 32 / 16 - 1)^(8 / 6).
    const stretched = ropeTables({ ...plain, theta: 10_000 * 3 ** (8 / 6) }, 32);
    expectRow(dynamic.sin, 31, stretched.sin, 31);
  });

  it("does not depend on how many positions are asked for", () => {
    const scaling = { type: "dynamic", factor: 2, originalMaxPositions: 16 } as const;
    const short = ropeTables({ ...plain, scaling }, 24);
    const long = ropeTables({ ...plain, scaling }, 32);
    expect([...long.cos.subarray(0, short.cos.length)]).toEqual([...short.cos]);
  });

  it("keeps short wavelengths and stretches long ones with llama3 scaling", () => {
    const scaling = { type: "llama3", factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 64 } as const;
    const scaled = ropeTables({ ...plain, scaling }, 33);
    const unscaled = ropeTables(plain, 33);
    expect(scaled.cos[32 * 4]).toBe(unscaled.cos[32 * 4]);
    expect(scaled.sin[32 * 4 + 3]).toBeCloseTo(unscaled.sin[4 * 4 + 3]!, 6);
  });

  it("multiplies cos and sin by YaRN's attention factor", () => {
    const scaling = {
      type: "yarn",
      factor: 8,
      originalMaxPositions: 64,
      betaFast: 32,
      betaSlow: 1,
      attentionFactor: 1.25,
      truncate: true,
    } as const;
    const { cos, sin } = ropeTables({ ...plain, scaling }, 20);
    for (let i = 0; i < cos.length; i++) expect(Math.hypot(cos[i]!, sin[i]!)).toBeCloseTo(1.25, 5);
  });
});

function expectRow(actual: Float32Array, row: number, expected: Float32Array, expectedRow: number): void {
  for (let i = 0; i < 4; i++) expect(actual[row * 4 + i]).toBeCloseTo(expected[expectedRow * 4 + i]!, 5);
}

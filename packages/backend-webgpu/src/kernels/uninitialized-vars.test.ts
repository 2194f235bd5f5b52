/** No kernel has a variable without an initializer inside a function, and the check that says so sees one. */
import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { findUninitializedVars } from "../testing-support/lint-wgsl.js";

const layer = { numHeads: 4, numKvHeads: 2, headDim: 32, vHeadDim: 16, scale: 0.25, window: 0, softcap: 0 };
const linear = { inFeatures: 96, numColumns: 40, firstColumn: 8, outStride: 64, bias: false, accumulate: false, rows: "numTokens" };

/** Arguments for each function that gives WGSL, so that every branch of its text is taken. */
const VARIANTS: Readonly<Record<string, readonly (readonly unknown[])[]>> = {
  embedWgsl: [[{ hiddenSize: 96, firstRow: 0, numRows: 512, scale: 1 }]],
  rmsNormWgsl: [[{ size: 96, epsilon: 1e-5, gather: false }], [{ size: 96, epsilon: 1e-5, gather: true }]],
  matmulWgsl: [[{ bias: false }], [{ bias: true }]],
  matvecWgsl: [
    [linear, 1],
    [{ ...linear, inFeatures: 33, bias: true, accumulate: true, rows: "numRows" }, 4],
  ],
  gatedSiluWgsl: [[160]],
  ropeStoreWgsl: [
    [layer],
    [{ ...layer, rope: { rotaryDim: 32, interleaved: false } }],
    [{ ...layer, rope: { rotaryDim: 16, interleaved: true } }],
  ],
  pagedAttentionWgsl: [
    [layer, 16],
    [{ ...layer, window: 7, softcap: 30 }, 16],
  ],
};

const texts = await kernelTexts();

describe("every kernel", () => {
  it("is among those that are checked", () => {
    expect([...texts.keys()].sort()).toEqual(Object.keys(VARIANTS).sort());
  });

  it.each([...texts])("%s initializes its variables", (_, variants) => {
    for (const text of variants) {
      expect(text).toContain("fn main(");
      expect(findUninitializedVars(text)).toEqual([]);
    }
  });
});

describe("the check", () => {
  it.each([...texts])("finds a variable of %s that lost its initializer", (_, variants) => {
    for (const text of variants) {
      const at = text.indexOf("{", text.indexOf("fn main("));
      const broken = `${text.slice(0, at + 1)} for (var i = 0u; i < 4u; i++) { var lost: vec4<f32>; }${text.slice(at + 1)}`;
      expect(findUninitializedVars(broken)).toEqual(["var lost: vec4<f32>;"]);
    }
  });

  it("sees through comments, function address spaces and loop headers, and leaves module variables alone", () => {
    const refused = "fn f() { var<function> a: f32; /* = 1 */ for (var i: u32; i < 3u; i++) { var b // =\n: array<f32, 4>; } }";
    expect(findUninitializedVars(refused)).toHaveLength(3);
    const accepted =
      "var<workgroup> tile: array<f32, 4>; @group(0) @binding(0) var<storage> x: array<f32>; fn f() { var a: f32 = 0; // var b: f32;\n }";
    expect(findUninitializedVars(accepted)).toEqual([]);
  });
});

/** Exported function name to the texts of its variants, over all files of this folder. */
async function kernelTexts(): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, readonly string[]>();
  for (const file of readdirSync(new URL(".", import.meta.url))) {
    if (!file.endsWith(".ts") || file.includes(".test.")) continue;
    const exports = (await import(new URL(file, import.meta.url).href)) as Record<string, unknown>;
    for (const [name, make] of Object.entries(exports)) {
      if (!name.endsWith("Wgsl") || typeof make !== "function") continue;
      found.set(
        name,
        (VARIANTS[name] ?? []).map((args) => String(make(...args))),
      );
    }
  }
  return found;
}

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { InvalidOptionsError, type DenseLinear, type Quantizer, type WeightScheme } from "@weir/core";
import { createQuantizer, defaultQuantizer, type QuantizerOptions } from "./create-quantizer.js";
import { Float32Quantizer } from "./float32-quantizer.js";
import { Int8Quantizer } from "./int8-quantizer.js";

const SCHEMES: QuantizerOptions["scheme"][] = ["f32", "int8", "int4-g32", "int4-g64", "int4-g128"];
const LINEAR: DenseLinear = { name: "w", outFeatures: 2, inFeatures: 3, weight: Float32Array.of(1, -2, 3, 0.5, 0, -0.25) };

describe("createQuantizer", () => {
  it.each(SCHEMES)("makes a quantizer of scheme %s that gives back nearly what it got", (scheme) => {
    for (const quantizer of [createQuantizer(scheme), createQuantizer({ scheme }), defaultQuantizer(scheme)]) {
      expect(quantizer.scheme).toBe(scheme);
      const restored = quantizer.dequantize(quantizer.quantize(LINEAR));
      restored.forEach((value, i) => expect(Math.abs(value - LINEAR.weight[i]!)).toBeLessThanOrEqual(0.4));
    }
  });

  it("names every variant apart, because scheme, algorithm and version key the weight cache", () => {
    const variants: QuantizerOptions[] = [
      ...SCHEMES.map((scheme) => ({ scheme })),
      { scheme: "int8", bits: 7 },
      { scheme: "int4-g32", asymmetric: true },
      { scheme: "int4-g32", search: true },
    ];
    const keys = variants.map(createQuantizer).map(({ scheme, algorithm, version }) => `${scheme} ${algorithm} ${version}`);
    expect(new Set(keys).size).toBe(variants.length);
  });

  it("refuses unknown schemes and options", () => {
    expect(() => createQuantizer("int3" as WeightScheme)).toThrow(InvalidOptionsError);
    expect(() => createQuantizer("toString" as WeightScheme)).toThrow('scheme is "toString"; it takes f32, int8');
    expect(() => createQuantizer({ scheme: "int8", search: true } as QuantizerOptions)).toThrow(
      'scheme int8 has no option "search"; it takes bits',
    );
  });
});

describe("a quantizer's module", () => {
  it.each<QuantizerOptions>([{ scheme: "f32" }, { scheme: "int8", bits: 7 }, { scheme: "int4-g64", asymmetric: false, search: true }])(
    "makes the same quantizer again from %o",
    (options) => {
      const quantizer = createQuantizer(options);
      const again = createQuantizer(structuredClone(quantizer.module!.options) as QuantizerOptions);
      expect([again.scheme, again.algorithm]).toEqual([quantizer.scheme, quantizer.algorithm]);
      expect(again.quantize(LINEAR)).toEqual(quantizer.quantize(LINEAR));
    },
  );

  it("is a file of the built package that exports createQuantizer", async () => {
    const { url } = new Int8Quantizer().module!;
    expect(url).toMatch(/packages\/quant\/dist\/create-quantizer\.js$/);
    expect(existsSync(fileURLToPath(url)), "built by pretest; else run pnpm build").toBe(true);
    const { createQuantizer } = (await import(url)) as { createQuantizer: (options: unknown) => Quantizer };
    expect(createQuantizer({ scheme: "int8" }).quantize(LINEAR)).toEqual(new Int8Quantizer().quantize(LINEAR));
  });

  it("is absent from a subclass, which a worker could not make anew", () => {
    class Mine extends Int8Quantizer {}
    expect(new Mine().module).toBeUndefined();
  });
});

describe("Float32Quantizer", () => {
  it("copies both ways, NaN included", () => {
    const quantizer = new Float32Quantizer();
    const weight = Float32Array.of(1, NaN, -Infinity, 0);
    const stored = quantizer.quantize({ name: "w", outFeatures: 2, inFeatures: 2, weight });
    const restored = quantizer.dequantize(stored);
    expect(restored).toEqual(weight);
    weight[0] = 9;
    expect(restored[0]).toBe(1);
    expect(stored).toEqual({ kind: "dense", outFeatures: 2, inFeatures: 2, data: Float32Array.of(1, NaN, -Infinity, 0) });
  });
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidOptionsError, ModelLoadError, type DenseLinear, type QuantizedLinear } from "@weir/core";
import { Int8Quantizer } from "./int8-quantizer.js";

type Int8Channel = Extract<QuantizedLinear, { kind: "int8-channel" }>;

const FLT_MAX = Math.fround(3.4028234663852886e38);
const quantizer = new Int8Quantizer();

describe("Int8Quantizer", () => {
  it("stores what one works out by hand: scale = absMax / 127, codes in the weight's order", () => {
    const { data, scales, ...rest } = quantize(quantizer, [
      [1, -0.4, 0.25],
      [254, 2, -3],
    ]);
    expect(rest).toEqual({ kind: "int8-channel", outFeatures: 2, inFeatures: 3 });
    expect([...data]).toEqual([127, -51, 32, 127, 1, -1]);
    expect(scales).toEqual(Float32Array.of(1 / 127, 2));
  });

  it("keeps every weight within half a step, at 8 and at 7 bits", () => {
    for (const bits of [7, 8] as const) {
      const quantizer = new Int8Quantizer({ bits });
      fc.assert(
        fc.property(matrix, (rows) => {
          const stored = quantize(quantizer, rows);
          const restored = quantizer.dequantize(stored);
          rows.flat().forEach((weight, i) => {
            const scale = stored.scales[Math.floor(i / rows[0]!.length)]!;
            // A channel without a scale is smaller than any kernel would see.
            const bound = scale === 0 ? 127 * 2 ** -126 : scale * (0.5 + 1e-4);
            expect(Math.abs(restored[i]! - Math.fround(weight))).toBeLessThanOrEqual(bound);
          });
        }),
      );
    }
  });

  it("keeps codes where a saturating u8 x s8 kernel cannot overflow, at 7 bits", () => {
    const { data, scales } = quantize(new Int8Quantizer({ bits: 7 }), [[1, -1, 0.5, 0.1]]);
    expect([...data]).toEqual([64, -64, 32, 6]);
    expect(scales[0]).toBe(1 / 64);
    expect(2 * 255 * 64).toBeLessThan(2 ** 15);
  });

  it("never gives -128, which has no opposite", () => {
    fc.assert(
      fc.property(matrix, (rows) => {
        expect(quantize(quantizer, rows).data.every((code) => code >= -127 && code <= 127)).toBe(true);
      }),
    );
  });

  it("is idempotent: what it gave back quantizes to the same codes", () => {
    fc.assert(
      fc.property(matrix, (rows) => {
        const first = quantize(quantizer, rows);
        const weight = quantizer.dequantize(first);
        const second = quantizer.quantize({ ...first, name: "w", weight }) as Int8Channel;
        expect(second.data).toEqual(first.data);
        second.scales.forEach((scale, row) => expect(Math.abs(scale - first.scales[row]!)).toBeLessThanOrEqual(scale * 2 ** -23));
      }),
    );
  });

  it.each<[string, number[]]>([
    ["all zero", [0, 0, -0, 0]],
    ["one outlier", [1e-3, 0, 1e4, -1e-3]],
    ["subnormal", [1e-45, -1e-44, 1.9e-43, 0]],
    ["a subnormal scale", [1e-37, -1e-38, 0, 1e-37]],
    ["the largest floats", [FLT_MAX, -FLT_MAX, 1, FLT_MAX / 2]],
  ])("takes a row of %s without NaN or infinity", (_name, row) => {
    for (const bits of [7, 8] as const) {
      const quantizer = new Int8Quantizer({ bits });
      const stored = quantize(quantizer, [row]);
      const restored = quantizer.dequantize(stored);
      const absMax = Math.max(...row.map(Math.abs));
      row.forEach((weight, i) => expect(Math.abs(restored[i]! - weight)).toBeLessThanOrEqual(Math.max(absMax / 100, 127 * 2 ** -126)));
    }
  });

  it.each([NaN, Infinity, -Infinity])("refuses %s, naming the layer and the place", (bad) => {
    const weights = [
      [1, 2, 3],
      [4, bad, 6],
    ];
    expect(() => quantize(quantizer, weights)).toThrow(ModelLoadError);
    expect(() => quantize(quantizer, weights)).toThrow(`layers.0.q_proj: the weight at [1, 1] is ${bad}`);
  });

  it("refuses a weight of another size than it claims", () => {
    const linear: DenseLinear = { name: "w", outFeatures: 2, inFeatures: 3, weight: new Float32Array(5) };
    expect(() => quantizer.quantize(linear)).toThrow(new ModelLoadError("w: the weight has 5 elements, which is not 2 x 3"));
  });

  it("refuses other bits", () => {
    expect(() => new Int8Quantizer({ bits: 4 as 8 })).toThrow(InvalidOptionsError);
  });

  it("does not change the weight it is given", () => {
    const weight = Float32Array.of(1, 2, 3);
    quantizer.quantize({ name: "w", outFeatures: 1, inFeatures: 3, weight });
    expect(weight).toEqual(Float32Array.of(1, 2, 3));
  });
});

const matrix = fc.integer({ min: 1, max: 20 }).chain((inFeatures) =>
  fc.array(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: inFeatures, maxLength: inFeatures }), {
    minLength: 1,
    maxLength: 4,
  }),
);

function quantize(quantizer: Int8Quantizer, rows: readonly (readonly number[])[]): Int8Channel {
  const weight = Float32Array.from(rows.flat());
  return quantizer.quantize({ name: "layers.0.q_proj", outFeatures: rows.length, inFeatures: rows[0]!.length, weight }) as Int8Channel;
}

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { InvalidOptionsError, ModelLoadError, type QuantizedLinear } from "@weir/core";
import { Int4GroupQuantizer, type Int4GroupQuantizerOptions } from "./int4-group-quantizer.js";
import { quantizationError } from "./quantization-error.js";

type Int4Group = Extract<QuantizedLinear, { kind: "int4-group" }>;

const FLT_MAX = Math.fround(3.4028234663852886e38);

describe("Int4GroupQuantizer's layout", () => {
  it("puts the even element in the low nibble, groups in order, and maps the extreme of a group to 0 whatever its sign", () => {
    // Group 0: extreme -8, so scale 1; group 1: extreme +4, so scale -0.5.
    const weight = Float32Array.from({ length: 64 }, (_, i) => (i < 32 ? (i % 16) - 8 : ((i % 16) - 7) / 2));
    const { data, scales, ...rest } = quantize({ groupSize: 32 }, weight, 1);
    expect(rest).toEqual({ kind: "int4-group", outFeatures: 1, inFeatures: 64, groupSize: 32 });
    expect(scales).toEqual(Float32Array.of(1, -0.5));
    const up = [0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe];
    const down = [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01];
    expect([...data]).toEqual([...up, ...up, ...down, ...down]);
  });

  it("fills up a last group that is not full, even in the middle of a byte", () => {
    const weight = Float32Array.from({ length: 35 * 2 }, (_, i) => (i % 35 < 32 ? 0 : -8));
    const { data, scales } = quantize({ groupSize: 32 }, weight, 2);
    expect(data).toHaveLength(2 * 2 * 16);
    expect(scales).toEqual(Float32Array.of(0, 1, 0, 1));
    const row = [...new Array<number>(16).fill(0x88), 0x00, 0x80, ...new Array<number>(14).fill(0x88)];
    expect([...data]).toEqual([...row, ...row]);
  });

  it("packs zero points by two along a row, the even group low", () => {
    // Groups of one row: [0, 15], [-15, 0], [-5, 10]: scale 1, zeros 0, 15 and 5.
    const spans = [
      [0, 15],
      [-15, 0],
      [-5, 10],
    ] as const;
    const weight = Float32Array.from({ length: 96 }, (_, i) => spans[Math.floor(i / 32)]![i % 2]!);
    const { data, scales, zeroPoints } = quantize({ groupSize: 32, asymmetric: true }, weight, 1);
    expect(scales).toEqual(Float32Array.of(1, 1, 1));
    expect([...zeroPoints!]).toEqual([0xf0, 0x05]);
    expect([...new Set(data)]).toEqual([0xf0]);
  });

  it("fills up with the group's own zero when asymmetric, so that the padding is worth nothing", () => {
    const { data, zeroPoints } = quantize({ groupSize: 32, asymmetric: true }, Float32Array.of(-5, 10), 1);
    expect([...zeroPoints!]).toEqual([0x05]);
    expect([...data]).toEqual([0xf0, ...new Array<number>(15).fill(0x55)]);
  });
});

describe.each<[string, Int4GroupQuantizerOptions]>([
  ["g32", { groupSize: 32 }],
  ["g64", { groupSize: 64 }],
  ["g128", { groupSize: 128 }],
  ["g32 asymmetric", { groupSize: 32, asymmetric: true }],
  ["g32 searched", { groupSize: 32, search: true }],
])("Int4GroupQuantizer %s", (_name, options) => {
  const { groupSize } = options;
  const quantizer = new Int4GroupQuantizer(options);

  it("keeps every weight within its bound and gives back as many as it got", () => {
    fc.assert(
      fc.property(matrix, ({ outFeatures, inFeatures, weight }) => {
        const stored = quantize(options, weight, outFeatures);
        const restored = quantizer.dequantize(stored);
        expect(restored).toHaveLength(weight.length);
        const groups = Math.ceil(inFeatures / groupSize);
        weight.forEach((value, i) => {
          const row = Math.floor(i / inFeatures);
          const scale = Math.abs(stored.scales[row * groups + Math.floor((i % inFeatures) / groupSize)]!);
          // Half a step, but a whole one for what would be code +8; the search may cut off more to gain elsewhere.
          const steps = options.asymmetric ? 1 : options.search ? 3 : 1;
          const bound = scale === 0 ? 15 * 2 ** -126 : scale * (steps + 1e-4);
          expect(Math.abs(restored[i]! - value)).toBeLessThanOrEqual(bound);
        });
      }),
    );
  });

  it("takes all zeros, one outlier, subnormals and the largest floats without NaN or infinity", () => {
    for (const values of [
      [0, -0],
      [0, 1e4, 1e-3],
      [1e-45, -1e-44],
      [1e-37, 1e-38],
      [FLT_MAX, -FLT_MAX, 1],
      [-FLT_MAX, FLT_MAX / 2],
    ]) {
      const weight = Float32Array.from({ length: groupSize + 3 }, (_, i) => values[i % values.length]!);
      const restored = quantizer.dequantize(quantize(options, weight, 1));
      const absMax = Math.max(...weight.map(Math.abs));
      restored.forEach((value, i) => expect(Math.abs(value - weight[i]!)).toBeLessThanOrEqual(Math.max(absMax / 3, 15 * 2 ** -126)));
      if (absMax === 0) expect(restored.every((value) => value === 0)).toBe(true);
    }
  });

  it.each([NaN, Infinity, -Infinity])("refuses %s, naming the layer and the place", (bad) => {
    const weight = new Float32Array(2 * (groupSize + 5)).fill(1);
    weight[groupSize + 5 + groupSize + 2] = bad;
    expect(() => quantize(options, weight, 2)).toThrow(ModelLoadError);
    expect(() => quantize(options, weight, 2)).toThrow(`layers.0.up_proj: the weight at [1, ${groupSize + 2}] is ${bad}`);
  });
});

describe("Int4GroupQuantizer", () => {
  it("is idempotent when symmetric: what it gave back quantizes to the same bytes and scales", () => {
    const quantizer = new Int4GroupQuantizer({ groupSize: 32 });
    fc.assert(
      fc.property(matrix, ({ outFeatures, weight }) => {
        const first = quantize({ groupSize: 32 }, weight, outFeatures);
        const again = quantize({ groupSize: 32 }, quantizer.dequantize(first), outFeatures);
        expect(again).toEqual(first);
      }),
    );
  });

  it("loses less with the extreme at -8 than +-absMax / 7 would, less still when searched, and as theory says", () => {
    const weight = gaussian(1 << 16);
    const [plain, searched, asymmetric] = [{}, { search: true }, { asymmetric: true }].map((more) => {
      const options = { groupSize: 32, ...more } as const;
      return quantizationError(weight, new Int4GroupQuantizer(options).dequantize(quantize(options, weight, 64))).relativeError;
    });
    expect(absMaxOverSeven(weight)).toBeCloseTo(0.097, 2);
    expect(plain!).toBeLessThan(0.9 * absMaxOverSeven(weight));
    expect(searched!).toBeLessThan(0.97 * plain!);
    expect(asymmetric!).toBeLessThan(plain!);
  });

  it("never loses by searching, group by group", () => {
    fc.assert(
      fc.property(fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 1, maxLength: 32 }), (values) => {
        const weight = Float32Array.from(values);
        const error = (search: boolean): number =>
          quantizationError(
            weight,
            new Int4GroupQuantizer({ groupSize: 32, search }).dequantize(quantize({ groupSize: 32, search }, weight, 1)),
          ).relativeError;
        expect(error(true)).toBeLessThanOrEqual(error(false) * (1 + 1e-6) + 1e-7);
      }),
    );
  });

  it("refuses options it does not have", () => {
    expect(() => new Int4GroupQuantizer({ groupSize: 16 as 32 })).toThrow(InvalidOptionsError);
    expect(() => new Int4GroupQuantizer({ groupSize: 32, asymmetric: true, search: true })).toThrow("leave out search or asymmetric");
  });
});

const matrix = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 140 })).chain(([outFeatures, inFeatures]) =>
  fc
    .array(fc.oneof(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.float({ min: -1, max: 1, noNaN: true })), {
      minLength: outFeatures * inFeatures,
      maxLength: outFeatures * inFeatures,
    })
    .map((values) => ({ outFeatures, inFeatures, weight: Float32Array.from(values) })),
);

function quantize(options: Int4GroupQuantizerOptions, weight: Float32Array, outFeatures: number): Int4Group {
  const linear = { name: "layers.0.up_proj", outFeatures, inFeatures: weight.length / outFeatures, weight };
  return new Int4GroupQuantizer(options).quantize(linear) as Int4Group;
}

/** Relative error of the plain symmetric grid, over groups of 32. */
function absMaxOverSeven(weight: Float32Array): number {
  const restored = weight.slice();
  for (let start = 0; start < weight.length; start += 32) {
    const group = weight.subarray(start, start + 32);
    const scale = group.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 7;
    group.forEach((value, i) => (restored[start + i] = Math.round(value / scale) * scale));
  }
  return quantizationError(weight, restored).relativeError;
}

function gaussian(length: number): Float32Array {
  let state = 7;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from({ length }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

import type { LinearSpec, ModelSpec, Quantizer } from "@weir/core";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { prepareModel } from "../prepare-model.js";
import type { PrepareModelOptions } from "../prepare-model.js";
import { SegmentRuntime } from "../segments/segment-runtime.js";
import { referenceForward } from "../testing/reference-forward.js";
import { rtnQuantizer } from "../testing/rtn-quantizer.js";
import { SegmentModel } from "../testing/segment-model.js";
import { memorySource, storedBytes, tinySpec, tinyWeights } from "../testing/tiny-model.js";
import type { TinyOptions, TinyTensor } from "../testing/tiny-model.js";

const IDS = [3, 17, 42, 5, 5, 90, 61];

let folder: string;
let runtime: SegmentRuntime;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "weir-lowering-"));
  runtime = new SegmentRuntime({ threads: 2 });
});
afterAll(() => {
  runtime.dispose();
  expect(runtime.library.handles.live()).toBe(0);
  rmSync(folder, { recursive: true });
});

describe("segments in f32", () => {
  const variants: Record<string, TinyOptions> = {
    "Llama's form": {},
    "biases, a tied head and one layer": { biases: true, tied: true, layers: 1 },
    "q and k norms": { qkNorm: true },
    "layer norms and a plain GELU MLP with biases": { norm: "layer", mlp: "plain", activation: "gelu", biases: true },
    "gated tanh-GELU, a capped head and a scaled embedding": { activation: "gelu-tanh", softcap: 3, embeddingScale: 8 },
    "gated ReLU": { activation: "relu" },
  };
  for (const [name, options] of Object.entries(variants)) {
    it(`compute what the reference does: ${name}`, async () => {
      const spec = tinySpec(options);
      const weights = tinyWeights(spec);
      expect(await largestError(spec, weights, {})).toBeLessThan(1e-5);
    });
  }

  it("use tensors of a file in place, and convert bf16 through a cache", async () => {
    const spec = tinySpec({ biases: true });
    const weights = bf16Weights(tinyWeights(spec));
    const copy = { ...rtnQuantizer("f32"), algorithm: "copy" };
    const placed = await prepareModel(spec, fileSource(weights), { quantizer: copy, cacheFolders: [] });
    const converted = await prepareModel(spec, memorySource(weights, "BF16"), { cacheFolders: [folder] });
    expect(run(spec, placed.segments, IDS)).toEqual(run(spec, converted.segments, IDS));
  });
});

describe("quantized segments", () => {
  // Weights are compared as dequantized: what is left is the 8-bit rounding of activations.
  for (const [scheme, limit] of [
    ["int8", 0.04],
    ["int4-g32", 0.05],
    ["int4-g64", 0.05],
    ["int4-g128", 0.05],
  ] as const) {
    for (const biases of [false, true]) {
      it(`${scheme}${biases ? " with biases" : ""} stay within the rounding of activations`, async () => {
        const spec = tinySpec({ biases, hidden: 128, intermediate: 256 });
        const quantizer = rtnQuantizer(scheme, biases);
        expect(await largestError(spec, tinyWeights(spec), { quantizer })).toBeLessThan(limit);
        expect(await largestError(spec, tinyWeights(spec), { quantizer, activations: "f32" })).toBeLessThan(1e-5);
      });
    }
  }

  it("give the same bits with u8 weights as with i8 weights", async () => {
    const spec = tinySpec();
    const quantizer = rtnQuantizer("int8");
    const source = memorySource(tinyWeights(spec));
    const [signed, unsigned] = await Promise.all(
      [false, true].map((unsignedInt8) => prepareModel(spec, source, { quantizer, unsignedInt8, cacheFolders: [folder] })),
    );
    expect(run(spec, unsigned!.segments, IDS)).toEqual(run(spec, signed!.segments, IDS));
  });

  it("take linears of several kinds in one group", async () => {
    const spec = tinySpec({ biases: true });
    const int8 = rtnQuantizer("int8");
    const mixed: Quantizer = {
      ...int8,
      algorithm: "mixed",
      quantize: (linear) => (/[.](k|gate|up)[.]/.test(linear.name) ? rtnQuantizer("int4-g32") : int8).quantize(linear),
    };
    expect(await largestError(spec, tinyWeights(spec), { quantizer: mixed })).toBeLessThan(0.05);
    const prepare = (options: PrepareModelOptions) =>
      prepareModel(spec, memorySource(tinyWeights(spec)), { ...options, cacheFolders: [folder] });
    expect((await prepare({ quantizer: mixed })).evenRows).toBe(true);
    expect((await prepare({ quantizer: mixed, activations: "f32" })).evenRows).toBe(false);
    expect((await prepare({ quantizer: int8 })).evenRows).toBe(false);
  });
});

describe("rows that are not finite", () => {
  for (const scheme of ["f32", "int8", "int4-g32"] as const) {
    it(`stay so through ${scheme}, and leave other rows alone`, async () => {
      const spec = tinySpec();
      const options = { ...(scheme === "f32" ? {} : { quantizer: rtnQuantizer(scheme) }), cacheFolders: [folder] };
      const { segments } = await prepareModel(spec, memorySource(tinyWeights(spec)), options);
      const model = new SegmentModel(runtime, spec, segments);
      const [, middle] = model.sessions;
      for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        model.attention.fill(0.5);
        model.residual.fill(0.25);
        model.attention[1 * 64 + 7] = value;
        middle!.run(4);
        const rows = [0, 1, 2, 3].map((t) => model.qkv.subarray(t * 128, (t + 1) * 128));
        expect(rows[1]!.some(Number.isFinite)).toBe(false);
        for (const t of [0, 2, 3]) expect(rows[t]!.every(Number.isFinite)).toBe(true);
      }
      model.dispose();
    });
  }

  it("do not come from a row of zeros", async () => {
    const spec = tinySpec();
    const { segments } = await prepareModel(spec, memorySource(tinyWeights(spec)), {
      quantizer: rtnQuantizer("int8"),
      cacheFolders: [folder],
    });
    const model = new SegmentModel(runtime, spec, segments);
    model.attention.fill(0);
    model.residual.fill(0);
    model.sessions[1]!.run(2);
    expect(model.qkv.subarray(0, 256).every((value) => value === 0)).toBe(true);
    model.dispose();
  });
});

describe("logits rows", () => {
  it("are those asked for, in that order, and equal those of a full run", async () => {
    const spec = tinySpec();
    const { segments } = await prepareModel(spec, memorySource(tinyWeights(spec)), { cacheFolders: [folder] });
    const all = run(spec, segments, IDS);
    expect(run(spec, segments, IDS, [6, 0, 3])).toEqual([all[6], all[0], all[3]]);
  });
});

function run(
  spec: ModelSpec,
  segments: Awaited<ReturnType<typeof prepareModel>>["segments"],
  ids: number[],
  rows?: number[],
): Float32Array[] {
  const model = new SegmentModel(runtime, spec, segments);
  try {
    return model.prefill(ids, rows);
  } finally {
    model.dispose();
  }
}

/** Largest difference to the reference, relative to the largest logit. */
async function largestError(
  spec: ModelSpec,
  weights: Map<string, TinyTensor>,
  options: PrepareModelOptions & { readonly quantizer?: Quantizer },
): Promise<number> {
  const { segments } = await prepareModel(spec, memorySource(weights), { ...options, cacheFolders: [folder] });
  const logits = run(spec, segments, IDS);
  const wanted = referenceForward(spec, referenceWeights(weights, options), IDS);
  const largest = Math.max(...wanted.flat().map(Math.abs));
  return Math.max(...wanted.flatMap((row, t) => row.map((value, i) => Math.abs(value - logits[t]![i]!)))) / largest;
}

/** The weights as the quantizer leaves them; the embedding as int8 rows unless activations are f32. */
function referenceWeights(
  weights: Map<string, TinyTensor>,
  { quantizer, activations }: { readonly quantizer?: Quantizer; readonly activations?: "auto" | "f32" },
) {
  const tensor = (name: string): Float32Array => weights.get(name)!.data;
  const dequantized = new Map<string, Float32Array>();
  return {
    weight({ weight: name, inFeatures, outFeatures }: LinearSpec): Float32Array {
      const weight = tensor(name);
      if (!quantizer) return weight;
      const known = dequantized.get(name) ?? quantizer.dequantize(quantizer.quantize({ name, inFeatures, outFeatures, weight }));
      dequantized.set(name, known);
      return known;
    },
    vector: tensor,
    embedding(id: number): Float32Array {
      const { shape, data } = weights.get("embed.weight")!;
      const row = data.subarray(id * shape[1]!, (id + 1) * shape[1]!);
      if (!quantizer || activations === "f32") return row;
      const scale = Math.fround(Math.max(...row.map(Math.abs)) / 127);
      return row.map((value) => Math.round(value / scale) * scale);
    },
  };
}

function bf16Weights(weights: Map<string, TinyTensor>): Map<string, TinyTensor> {
  const cut = (data: Float32Array): Float32Array => new Float32Array(new Uint32Array(data.buffer).map((word) => word & 0xffff0000).buffer);
  return new Map([...weights].map(([name, { shape, data }]) => [name, { shape, data: cut(data) }]));
}

/** The weights in one file after 8 bytes of something else. */
function fileSource(weights: Map<string, TinyTensor>): ReturnType<typeof memorySource> {
  const offsets = new Map<string, number>();
  const pieces: Uint8Array[] = [new Uint8Array(8)];
  let offset = 8;
  for (const [name, { data }] of weights) {
    offsets.set(name, offset);
    pieces.push(storedBytes(data, "F32"));
    offset += data.byteLength;
  }
  const path = join(folder, "weights.bin");
  writeFileSync(path, Buffer.concat(pieces));
  return memorySource(weights, "F32", { path, offsets });
}

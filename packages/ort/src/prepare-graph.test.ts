import { fromBinary } from "@bufbuild/protobuf";
import type { GraphAttention, GraphAttentionLayer, GraphAttentionValues, ModelSpec, WeightSource } from "@weir/core";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ModelProtoSchema } from "./graph/onnx_pb.js";
import type { GraphProto, TensorProto } from "./graph/onnx_pb.js";
import { toF16 } from "./graph/float16.js";
import { prepareGraph } from "./prepare-graph.js";
import type { PreparedGraph } from "./prepare-graph.js";
import { memorySource, storedBytes, tinySpec, tinyWeights } from "./testing/tiny-model.js";

const FOLDER = mkdtempSync(join(tmpdir(), "weir-graph-"));
afterAll(() => rmSync(FOLDER, { recursive: true }));
const SIZES = { maxModelLen: 64, blockSize: 16, numBlocks: 8, maxBlocksPerSeq: 4 };
const F16 = 10;

describe("a model as one graph", () => {
  const spec = rotary(tinySpec({ biases: true }));

  it("has the step and the caches as inputs, f16 inside and f32 logits", async () => {
    const { graph, prepared } = await prepare(spec, memorySource(tinyWeights(spec)));
    expect(graph.input.map(describeValue)).toEqual([
      "input_ids 6[T]",
      "cu_seqlens_q 6[B+1]",
      "past_lens 6[B]",
      "block_tables 6[B,4]",
      "attention_bounds 6[2]",
      "row_indices 6[R]",
      "key_cache.0 10[8,16,2,16]",
      "value_cache.0 10[8,16,2,16]",
      "key_cache.1 10[8,16,2,16]",
      "value_cache.1 10[8,16,2,16]",
    ]);
    expect(graph.output.map(describeValue)).toEqual(["logits 1[R,96]"]);
    expect(prepared.caches.map(({ name }) => name)).toEqual(["key_cache.0", "value_cache.0", "key_cache.1", "value_cache.1"]);
    const floats = graph.initializer.filter(({ dataType }) => dataType === 1);
    expect(floats.map(({ name }) => name)).toEqual([]);
  });

  it("asks the attention for nodes at each layer, and goes on from its output in the same graph", async () => {
    const calls: [GraphAttentionLayer, GraphAttentionValues][] = [];
    const { graph } = await prepare(spec, memorySource(tinyWeights(spec)), calls);
    const sizes = { numHeads: 4, numKvHeads: 2, headDim: 16, vHeadDim: 16, scale: 0.25, causal: true, window: 0, softcap: 0 };
    expect(calls.map(([layer]) => layer)).toEqual(
      [0, 1].map((index) => ({ index, ...sizes, rope: { rotaryDim: 16, interleaved: false } })),
    );
    const made = new Set(graph.node.flatMap(({ output }) => output));
    for (const [i, [, { qkv }]] of calls.entries()) {
      expect(made).toContain(qkv);
      const attention = graph.node.find(({ name }) => name === `attention ${i}`)!;
      expect(graph.node.some(({ input }) => input.includes(attention.output[0]!))).toBe(true);
    }
    // Both layers rotate alike: one pair of tables.
    expect(calls[0]![1].cos).toBe(calls[1]![1].cos);
    const cos = initializer(graph, calls[0]![1].cos!);
    expect([cos.dataType, cos.dims.map(Number), cos.rawData.length]).toEqual([F16, [64, 8], 64 * 8 * 2]);
  });

  it("computes what the segments compute: the same operators, layer by layer", async () => {
    const { graph } = await prepare(spec, memorySource(tinyWeights(spec)));
    const layer = ["Gemm", "Attend", "Gemm", "SkipSimplifiedLayerNormalization", "Gemm", "Gemm", "QuickGelu", "Mul", "Gemm"];
    const last = [...layer.slice(0, 2), "Gather", "Gather", ...layer.slice(2)];
    expect(graph.node.map(({ opType }) => opType)).toEqual([
      "Gather",
      "SimplifiedLayerNormalization",
      ...layer,
      "SkipSimplifiedLayerNormalization",
      ...last,
      "SkipSimplifiedLayerNormalization",
      "Gemm",
      "Cast",
    ]);
  });

  it("keeps its weights as f16 in one cache file, rounded to nearest", async () => {
    const weights = tinyWeights(spec);
    const cacheFolder = join(FOLDER, "rounded");
    const { graph, prepared } = await prepare(spec, memorySource(weights), [], cacheFolder);
    expect(readdirSync(cacheFolder)).toEqual([expect.stringMatching(/^f16-.*\.weir$/)]);
    const down = initializer(graph, "layers.1.down.weight");
    expect([down.dataType, down.dims.map(Number)]).toEqual([F16, [64, 128]]);
    expect(stored(prepared, down)).toEqual(Buffer.from(toF16(weights.get("l1.down.weight")!.data).buffer));
    const qkv = ["q", "k", "v"].map((name) => Buffer.from(toF16(weights.get(`l0.${name}.weight`)!.data).buffer));
    expect(stored(prepared, initializer(graph, "layers.0.qkv.weight"))).toEqual(Buffer.concat(qkv));
    const sizes = [...weights.values()].filter(({ shape }) => shape.length === 2).map(({ data }) => data.length * 2);
    expect(prepared.weightBytes).toBe(sizes.reduce((sum, bytes) => sum + bytes, 0));
  });

  it("uses f16 weights of a file where they lie, but for those that one product joins", async () => {
    const weights = tinyWeights(spec);
    const path = join(FOLDER, "f16.bin");
    const offsets = new Map<string, number>();
    const pieces: Uint8Array[] = [];
    for (const [name, { data }] of weights) {
      offsets.set(
        name,
        pieces.reduce((sum, { length }) => sum + length, 0),
      );
      pieces.push(storedBytes(data, "F16"));
    }
    writeFileSync(path, Buffer.concat(pieces));
    const { graph, prepared } = await prepare(spec, memorySource(weights, "F16", { path, offsets }));
    const inPlace = graph.initializer.filter(({ externalData }) => externalData.some(({ value }) => path.endsWith(value)));
    const names = ["o", "up.0", "up.1", "down"].flatMap((name) => [0, 1].map((layer) => `layers.${layer}.${name}.weight`));
    expect(inPlace.map(({ name }) => name).toSorted()).toEqual([...names, "embedding", "head.weight"].toSorted());
    expect(stored(prepared, initializer(graph, "layers.0.o.weight"))).toEqual(
      Buffer.from(storedBytes(weights.get("l0.o.weight")!.data, "F16")),
    );
    expect(initializer(graph, "layers.0.qkv.weight").dims.map(Number)).toEqual([128, 64]);
  });

  it("has a tied head once", async () => {
    const tied = rotary(tinySpec({ tied: true }));
    const { graph, prepared } = await prepare(tied, memorySource(tinyWeights(tied)));
    const head = graph.node.findLast(({ opType }) => opType === "Gemm")!;
    expect(graph.node[0]!.input[0]).toBe(head.input[1]);
    expect(graph.initializer.filter(({ dims }) => Number(dims[0]) === 96)).toHaveLength(1);
    const untied = rotary(tinySpec());
    const other = await prepare(untied, memorySource(tinyWeights(untied)));
    expect(other.prepared.weightBytes - prepared.weightBytes).toBe(96 * 64 * 2);
  });

  it("refuses a weight beyond f16's range by name", async () => {
    const weights = tinyWeights(spec);
    weights.get("l1.up.weight")!.data[7] = 1e5;
    await expect(prepare(spec, memorySource(weights), [], join(FOLDER, "large"))).rejects.toMatchObject({
      code: "model_load",
      message: expect.stringMatching(/layers\.1\.up holds 100000, beyond the range of f16/),
    });
  });

  it("refuses sinks", async () => {
    const layers = spec.layers.map((layer) => ({ ...layer, attention: { ...layer.attention, sinks: "norm.weight" } }));
    await expect(prepare({ ...spec, layers }, memorySource(tinyWeights(spec)))).rejects.toMatchObject({ code: "not_supported" });
  });
});

async function prepare(
  spec: ModelSpec,
  source: WeightSource,
  calls: [GraphAttentionLayer, GraphAttentionValues][] = [],
  cacheFolder: string = mkdtempSync(join(FOLDER, "cache-")),
): Promise<{ graph: GraphProto; prepared: PreparedGraph }> {
  const attention: GraphAttention = {
    emit(graph, layer, values) {
      calls.push([layer, values]);
      return graph.node("Attend", [values.qkv, values.keyCache, values.valueCache], { name: `attention ${layer.index}` });
    },
  };
  const prepared = await prepareGraph(spec, source, { ...SIZES, attention, cacheFolders: [cacheFolder] });
  return { graph: fromBinary(ModelProtoSchema, prepared.model).graph!, prepared };
}

function rotary(spec: ModelSpec): ModelSpec {
  const rope = { theta: 10_000, rotaryDim: 16 };
  return { ...spec, layers: spec.layers.map((layer) => ({ ...layer, attention: { ...layer.attention, rope } })) };
}

function describeValue({ name, type }: GraphProto["input"][number]): string {
  const tensor = type!.value.value as { elemType: number; shape?: { dim: { value: { value?: unknown } }[] } };
  return `${name} ${tensor.elemType}[${tensor.shape!.dim.map((dim) => String(dim.value.value)).join()}]`;
}

function initializer(graph: GraphProto, name: string): TensorProto {
  return graph.initializer.find((each) => each.name === name)!;
}

/** The bytes of an initializer that lies in a file. */
function stored({ externalDataFolder }: PreparedGraph, { externalData }: TensorProto): Buffer {
  const { location, offset, length } = Object.fromEntries(externalData.map(({ key, value }) => [key, value])) as Record<string, string>;
  return readFileSync(join(externalDataFolder, location!)).subarray(Number(offset), Number(offset) + Number(length));
}

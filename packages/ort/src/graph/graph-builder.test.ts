import { fromBinary } from "@bufbuild/protobuf";
import { InternalError } from "@weir/core";
import { describe, expect, it } from "vitest";
import { float, GraphBuilder } from "./graph-builder.js";
import { ModelProtoSchema } from "./onnx_pb.js";

describe("GraphBuilder", () => {
  it("writes inputs, nodes, attributes, constants and outputs that read back as they were given", () => {
    const graph = new GraphBuilder("g");
    const x = graph.input("x", "f32", ["T", 4]);
    const w = graph.external("w", "i8", [4, 2], { location: "a/b.bin", byteOffset: 4096, byteLength: 8 });
    const c = graph.constant("c", "i64", [2], BigInt64Array.of(1n, -1n));
    const attributes = { axis: -1, epsilon: 0.5, one: float(1), mode: "none", perm: [1, 0] };
    const y = graph.node("Op", [x, w, "", c], { domain: "com.microsoft", attributes, name: "layers.0.op" });
    const { graph: built, opsetImport } = fromBinary(ModelProtoSchema, graph.output("out", "f32", ["T", 2], y).build());
    expect(opsetImport.map(({ domain }) => domain)).toEqual(["", "com.microsoft"]);
    expect(built!.input[0]!.type!.value.value!.shape!.dim.map((dim) => dim.value.value)).toEqual(["T", 4n]);
    const [node] = built!.node;
    expect([node!.opType, node!.input, node!.output, node!.name]).toEqual(["Op", ["x", "w", "", "c"], ["out"], "layers.0.op"]);
    const read = Object.fromEntries(node!.attribute.map((a) => [a.name, [a.type, a.i, a.f, new TextDecoder().decode(a.s), a.ints]]));
    expect(read).toEqual({
      axis: [2, -1n, 0, "", []],
      epsilon: [1, 0n, 0.5, "", []],
      one: [1, 0n, 1, "", []],
      mode: [3, 0n, 0, "none", []],
      perm: [7, 0n, 0, "", [1n, 0n]],
    });
    const [external, inline] = built!.initializer;
    expect(external!.externalData.map(({ key, value }) => `${key}=${value}`)).toEqual(["location=a/b.bin", "offset=4096", "length=8"]);
    expect(new BigInt64Array(inline!.rawData.slice().buffer)).toEqual(BigInt64Array.of(1n, -1n));
  });

  it("keeps a constant once, and copies it", () => {
    const graph = new GraphBuilder("g");
    const data = Float32Array.of(7);
    graph.constant("c", "f32", [], data);
    data[0] = 8;
    graph.constant("c", "f32", [], data);
    const { initializer } = fromBinary(ModelProtoSchema, graph.build()).graph!;
    expect(initializer.map(({ rawData }) => new Float32Array(rawData.slice().buffer)[0])).toEqual([7]);
  });

  it("makes an output of a graph input, or of one value twice, through Identity", () => {
    const graph = new GraphBuilder("g");
    const x = graph.input("x", "f32", [1]);
    const y = graph.node("Neg", [x]);
    graph.output("a", "f32", [1], x).output("b", "f32", [1], y).output("c", "f32", [1], y);
    const nodes = fromBinary(ModelProtoSchema, graph.build()).graph!.node;
    expect(nodes.map(({ opType, input, output }) => [opType, ...input, ...output])).toEqual([
      ["Neg", "x", "b"],
      ["Identity", "x", "a"],
      ["Identity", "b", "c"],
    ]);
  });

  it("refuses lists of fractions", () => {
    expect(() => new GraphBuilder("g").node("Op", [], { attributes: { list: [0.5] } })).toThrow(InternalError);
  });
});

import { describe, expect, it } from "vitest";
import { ModelLoadError } from "../errors/index.js";
import { parseSafetensorsHeader, readHeaderLength } from "./safetensors-header.js";

const DATA_BYTES = 24;
const GOOD = {
  a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16] },
  b: { dtype: "BF16", shape: [4], data_offsets: [16, 24] },
};

describe("readHeaderLength", () => {
  it.each([
    [2n ** 63n, 1000],
    [2n ** 53n + 1n, 1000],
    [100_000_001n, 2 ** 40],
    [1000n, 1000],
    [993n, 1000],
    [1n, 1000],
  ])("refuses a length of %d in a file of %d bytes", (length, fileSize) => {
    const start = new Uint8Array(8);
    new DataView(start.buffer).setBigUint64(0, length, true);
    expect(() => readHeaderLength(start, fileSize)).toThrow(ModelLoadError);
  });

  it("refuses files too short to have one", () => {
    for (let size = 0; size < 8; size++) expect(() => readHeaderLength(new Uint8Array(size), size)).toThrow(/has \d bytes/);
  });
});

describe("parseSafetensorsHeader", () => {
  it("says where tensors lie, with padding and metadata", () => {
    const { tensors, metadata } = parse(`${JSON.stringify({ __metadata__: { format: "pt" }, ...GOOD })}   `);
    expect(metadata.get("format")).toBe("pt");
    const b = tensors.get("b")!;
    expect(b).toMatchObject({ dtype: "BF16", shape: [4], byteLength: 8 });
    expect(b.byteOffset - tensors.get("a")!.byteOffset).toBe(16);
  });

  it("takes empty tensors at a boundary, scalars and no tensors at all", () => {
    const empty = { dtype: "F32", shape: [0, 7], data_offsets: [16, 16] };
    expect(parse({ ...GOOD, empty }).tensors.get("empty")!.byteLength).toBe(0);
    expect(parse({ s: { dtype: "F32", shape: [], data_offsets: [0, 4] } }, 4).tensors.get("s")!.shape).toEqual([]);
    expect(parse("{}", 0).tensors.size).toBe(0);
  });

  it.each([
    ["no JSON", "hello", /needs/],
    ["an array", "[]", /needs "\{"/],
    ["a truncated object", '{"a":', /the end/],
    ["trailing junk", "{} x", /nothing after/],
    ["duplicate names", `{"a":${JSON.stringify(GOOD.a)},"a":${JSON.stringify(GOOD.a)}}`, /holds "a" twice/],
    ["duplicate names behind an escape", `{"a":${JSON.stringify(GOOD.a)},"\\u0061":${JSON.stringify(GOOD.a)}}`, /holds "a" twice/],
    ["duplicate fields", '{"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}', /"dtype" twice/],
    ["a tensor called __proto__", '{"__proto__":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', /__proto__/],
    ["a nameless tensor", '{"":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', /names a tensor ""/],
    ["depth", `{"a":${"[".repeat(100_000)}`, /tensor a needs/],
    ["depth in a shape", `{"a":{"shape":${"[".repeat(100_000)}`, /shape of tensor a/],
    ["a bad escape", '{"\\x":1}', /not a valid JSON string/],
  ])("refuses %s", (_, header, message) => {
    const start = performance.now();
    expect(() => parse(header)).toThrow(message);
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it.each([
    ["reversed offsets", { data_offsets: [16, 0] }, /reversed/],
    ["negative offsets", { data_offsets: [-1, 15] }, /holds -1/],
    ["fractional offsets", { data_offsets: [0, 16.5] }, /holds 16\.5/],
    ["offsets in exponent form", { data_offsets: [0, "1.6e1"] }, /non-negative integers/],
    ["three offsets", { data_offsets: [0, 8, 16] }, /more than 2/],
    ["one offset", { data_offsets: [16] }, /two data_offsets/],
    ["an overlap", { data_offsets: [4, 20] }, /hole before it/],
    ["a span that the shape does not fill", { shape: [2, 3] }, /takes 24/],
    ["a product beyond 2^53", { shape: [2 ** 30, 2 ** 30] }, /larger than 2\^53/],
    ["a huge dimension beside a zero", { shape: [2 ** 53, 0] }, /holds 9007199254740992/],
    ["too many dimensions", { shape: Array.from({ length: 17 }, () => 1) }, /more than 16/],
    ["an unknown dtype", { dtype: "F12" }, /dtype "F12"/],
    ["a dtype that is a method of objects", { dtype: "toString" }, /dtype "toString"/],
    ["a missing dtype", { dtype: undefined }, /must have dtype/],
    ["an unknown field", { extra: 1 }, /unknown field "extra"/],
  ])("refuses %s, naming the tensor", (_, change, message) => {
    const error = thrownBy(() => parse({ ...GOOD, a: { ...GOOD.a, ...change } }));
    expect(error).toBeInstanceOf(ModelLoadError);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/tensor [ab]/);
  });

  it("refuses overlaps, holes, cut and trailing data", () => {
    const at = (begin: number): object => ({ dtype: "BF16", shape: [4], data_offsets: [begin, begin + 8] });
    expect(() => parse({ ...GOOD, b: at(12) })).toThrow(/tensor b overlaps/);
    expect(() => parse({ ...GOOD, b: at(18) }, 26)).toThrow(/tensor b leaves a hole/);
    expect(() => parse(GOOD, DATA_BYTES - 1)).toThrow(/cut off/);
    expect(() => parse(GOOD, DATA_BYTES + 1)).toThrow(/1 bytes after the last tensor/);
    expect(() => parse({ ...GOOD, z: { dtype: "F32", shape: [0], data_offsets: [5, 5] } })).toThrow(/overlaps|hole/);
  });

  it("refuses bytes that are not UTF-8", () => {
    expect(() => parseSafetensorsHeader(Uint8Array.of(0x7b, 0xff, 0x7d), 11)).toThrow(/UTF-8/);
  });
});

function parse(header: object | string, dataBytes = DATA_BYTES): ReturnType<typeof parseSafetensorsHeader> {
  const bytes = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  return parseSafetensorsHeader(bytes, 8 + bytes.length + dataBytes);
}

function thrownBy(action: () => unknown): Error {
  try {
    action();
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

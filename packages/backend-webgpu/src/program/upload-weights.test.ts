/** Weights arrive widened, in place, whatever they are stored in; on stubs that keep what is written. */
import type { TensorDtype, TensorInfo, WeightSource } from "@weir/core";
import { describe, expect, it } from "vitest";
import { GpuBuffers } from "../gpu/gpu-buffers.js";
import { GpuDevice } from "../gpu/gpu-device.js";
import { fakeDevice } from "../testing-support/fake-gpu.js";
import { uploadWeights, widenBf16, widenF16 } from "./upload-weights.js";
import type { WeightPiece, WeightPlan } from "./weight-plan.js";

describe("widening", () => {
  it("f16: normals, subnormals, zeros, infinities, NaN", () => {
    const halves = Uint16Array.of(0x3c00, 0xc000, 0x3555, 0x7bff, 0x0001, 0x03ff, 0x8000, 0x7c00, 0xfc00, 0x7e00);
    const into = new Float32Array(halves.length);
    widenF16(halves, into);
    expect([...into]).toEqual([1, -2, 0.333251953125, 65504, 2 ** -24, 1023 * 2 ** -24, -0, Infinity, -Infinity, NaN]);
  });

  it("bf16: the upper half of an f32", () => {
    const values = Float32Array.of(1, -2.5, 3.140625, 0, Infinity);
    const halves = Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
    const into = new Float32Array(values.length);
    widenBf16(halves, into);
    expect(into).toEqual(values);
  });
});

describe("uploadWeights", () => {
  it("puts each piece at its place, widened, with Gemma's one added", async () => {
    const source = sourceOf({
      a: { dtype: "F32", bytes: new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer) },
      b: { dtype: "F16", bytes: new Uint8Array(Uint16Array.of(0x3c00, 0x4000).buffer) },
      c: { dtype: "BF16", bytes: new Uint8Array(Uint16Array.of(0x3f80, 0x4080).buffer) },
    });
    const pieces = [piece("a", 1, 3, 0), piece("b", 0, 2, 3), { ...piece("c", 0, 2, 6), plusOne: true }];
    const { contents, progress } = await upload(source, pieces, 8);
    expect([...contents]).toEqual([2, 3, 4, 1, 2, 0, 2, 5]);
    expect(progress.at(-1)).toEqual([28, 28]);
  });

  it("reads a tensor larger than a slice in several", async () => {
    const size = 2 ** 20 + 5;
    const values = Float32Array.from({ length: size }, (_, i) => i);
    const { contents, progress } = await upload(
      sourceOf({ a: { dtype: "F32", bytes: new Uint8Array(values.buffer) } }),
      [piece("a", 0, size, 0)],
      size,
    );
    // Comparing a million elements one by one takes seconds.
    expect(Buffer.compare(new Uint8Array(contents.buffer), new Uint8Array(values.buffer))).toBe(0);
    expect(progress).toHaveLength(2);
  });

  it("refuses what is no float, and what is missing", async () => {
    const source = sourceOf({ a: { dtype: "I8", bytes: new Uint8Array(4) } });
    await expect(upload(source, [piece("a", 0, 4, 0)], 4)).rejects.toThrow(/tensor a is I8/);
    await expect(upload(source, [piece("z", 0, 4, 0)], 4)).rejects.toThrow(/tensor z is missing/);
  });
});

function piece(tensor: string, first: number, count: number, at: number): WeightPiece {
  return { tensor, first, count, at, plusOne: false };
}

async function upload(
  source: WeightSource,
  pieces: readonly WeightPiece[],
  size: number,
): Promise<{ readonly contents: Float32Array; readonly progress: number[][] }> {
  const { device } = fakeDevice();
  const contents = new Float32Array(size);
  const writeBuffer = (_: GPUBuffer, at: number, data: Float32Array): void => contents.set(data, at / 4);
  Object.assign(device.queue, { writeBuffer });
  const gpu = new GpuDevice(device, true);
  const buffers = new GpuBuffers(gpu);
  buffers.create("w", size * 4, 0);
  const progress: number[][] = [];
  const onProgress = ({ bytesDone, bytesTotal }: { readonly bytesDone: number; readonly bytesTotal: number }): void =>
    void progress.push([bytesDone, bytesTotal]);
  await uploadWeights(gpu, buffers, { buffers: [{ name: "w", size, pieces }] } as unknown as WeightPlan, source, { onProgress });
  return { contents, progress };
}

function sourceOf(tensors: Readonly<Record<string, { readonly dtype: TensorDtype; readonly bytes: Uint8Array }>>): WeightSource {
  const infos = Object.entries(tensors).map(([name, { dtype, bytes }]): [string, TensorInfo] => [
    name,
    { name, dtype, shape: [bytes.length], byteLength: bytes.length },
  ]);
  return {
    identity: "test",
    tensors: new Map(infos),
    read: async (name, byteOffset, into) => into.set(tensors[name]!.bytes.subarray(byteOffset, byteOffset + into.length)),
    close: async () => {},
  };
}

/** Moves of blocks on the stand-in, with more tensors than one of its shaders can bind. */
import { NO_ADAPTER } from "../testing-support/software-adapter.js";
import { DeviceRuntime } from "@weir/ort";
import { describe, expect, it } from "vitest";
import { KvCache } from "./kv-cache.js";

describe.skipIf(NO_ADAPTER)(`a cache of 40 layers${NO_ADAPTER ? ` (${NO_ADAPTER})` : ""}`, () => {
  it("begins with zeros, and copies, gives out and takes in blocks bit by bit", async () => {
    const runtime = await DeviceRuntime.open({ provider: { name: "WebGPU" } });
    const caches = Array.from({ length: 80 }, (_, i) => ({ name: `cache.${i}`, shape: [80, 16, 2, 24] }));
    const kv = await KvCache.create(runtime, caches);
    // Finite f16 of every kind, subnormal ones too.
    const written = new Uint8Array(40 * kv.blockBytes).map((_, i) => (i % 2 === 0 ? (i * 31) & 255 : (i * 7) % 0x7c));
    const ids = Int32Array.from({ length: 40 }, (_, i) => 2 * i);
    await kv.writeBlocks(ids, written);
    // In order: 4 goes to 1, then on to 3.
    await kv.copyBlocks(Int32Array.of(4, 1, 1, 3, 6, 5));
    const read = new Uint8Array(4 * kv.blockBytes);
    await kv.readBlocks(Int32Array.of(3, 5, 78, 7), read);
    const wanted = [2, 3, 39].map((i) => written.subarray(i * kv.blockBytes, (i + 1) * kv.blockBytes));
    expect(Buffer.compare(read, Buffer.concat([...wanted, new Uint8Array(kv.blockBytes)]))).toBe(0);
    runtime.dispose();
    expect(runtime.library.handles.live()).toBe(0);
  });
});

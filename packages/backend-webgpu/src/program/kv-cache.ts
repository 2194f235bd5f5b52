/**
 * KvCache: a keys and a values buffer per layer, block after block; copies of whole blocks on the GPU, and to and
 * from the host. What a block holds is the attention kernel's affair.
 */
import type { ModelLimits } from "@weir/core";
import { BUFFER_USAGE, MAP_MODE_READ } from "../gpu/flags.js";
import type { GpuBuffers } from "../gpu/gpu-buffers.js";
import type { GpuDevice } from "../gpu/gpu-device.js";

/** One buffer's share of a block. */
interface BlockPart {
  readonly buffer: string;
  readonly bytes: number;
}

export class KvCache {
  /** Of one block over all layers: keys then values of each layer in turn. */
  readonly blockBytes: number;
  readonly #gpu: GpuDevice;
  readonly #buffers: GpuBuffers;
  readonly #parts: readonly BlockPart[];

  constructor(gpu: GpuDevice, buffers: GpuBuffers, blocks: readonly { readonly keys: number; readonly values: number }[]) {
    this.#gpu = gpu;
    this.#buffers = buffers;
    this.#parts = blockParts(blocks);
    this.blockBytes = this.#parts.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  create({ numBlocks }: ModelLimits): void {
    const usage = BUFFER_USAGE.storage | BUFFER_USAGE.copySrc | BUFFER_USAGE.copyDst;
    for (const { buffer, bytes } of this.#parts) this.#buffers.create(buffer, bytes * numBlocks, usage);
    // A buffer cannot be copied onto itself: blocks go by way of this one.
    const largest = Math.max(...this.#parts.map(({ bytes }) => bytes));
    this.#buffers.create("blockInTransit", largest, BUFFER_USAGE.copySrc | BUFFER_USAGE.copyDst);
  }

  /** @param pairs [src, dst, ...], in order */
  copyBlocks(pairs: Int32Array): void {
    const { device } = this.#gpu;
    const encoder = device.createCommandEncoder({ label: "copy blocks" });
    const transit = this.#buffers.get("blockInTransit");
    for (const { buffer: name, bytes } of this.#parts) {
      const buffer = this.#buffers.get(name);
      for (let i = 0; i < pairs.length; i += 2) {
        encoder.copyBufferToBuffer(buffer, pairs[i]! * bytes, transit, 0, bytes);
        encoder.copyBufferToBuffer(transit, 0, buffer, pairs[i + 1]! * bytes, bytes);
      }
    }
    device.queue.submit([encoder.finish()]);
  }

  /** @param into [blockIds.length, blockBytes] */
  async readBlocks(blockIds: Int32Array, into: Uint8Array): Promise<void> {
    if (blockIds.length === 0) return;
    const { device } = this.#gpu;
    const size = blockIds.length * this.blockBytes;
    const staging = device.createBuffer({ label: "read blocks", size, usage: BUFFER_USAGE.mapRead | BUFFER_USAGE.copyDst });
    try {
      const encoder = device.createCommandEncoder({ label: "read blocks" });
      let at = 0;
      for (const block of blockIds) {
        for (const { buffer, bytes } of this.#parts) {
          encoder.copyBufferToBuffer(this.#buffers.get(buffer), block * bytes, staging, at, bytes);
          at += bytes;
        }
      }
      device.queue.submit([encoder.finish()]);
      await this.#gpu.done(staging.mapAsync(MAP_MODE_READ));
      into.set(new Uint8Array(staging.getMappedRange()));
    } finally {
      staging.destroy();
    }
  }

  /** @param from [blockIds.length, blockBytes] */
  writeBlocks(blockIds: Int32Array, from: Uint8Array): void {
    let at = 0;
    for (const block of blockIds) {
      for (const { buffer, bytes } of this.#parts) {
        this.#gpu.device.queue.writeBuffer(this.#buffers.get(buffer), block * bytes, from as Uint8Array<ArrayBuffer>, at, bytes);
        at += bytes;
      }
    }
  }
}

function blockParts(blocks: readonly { readonly keys: number; readonly values: number }[]): BlockPart[] {
  return blocks.flatMap(({ keys, values }, layer) => [
    { buffer: `keys.${layer}`, bytes: keys },
    { buffer: `values.${layer}`, bytes: values },
  ]);
}

/**
 * PagedKv: the reference backend's KV cache, f32, block after block: [numBlocks, blockSize, kvHeads, headDim].
 * Written and read by the forward pass through slots; whole blocks by the runner (copies, host tier).
 */
import type { ModelLimits, ModelSpec } from "../../contracts/index.js";

export interface LayerKv {
  /** [numBlocks * blockSize, numKvHeads * headDim] f32 */
  readonly keys: Float32Array;
  /** [numBlocks * blockSize, numKvHeads * vHeadDim] f32 */
  readonly values: Float32Array;
}

export class PagedKv {
  readonly layers: readonly LayerKv[];
  /** Bytes of one block over all layers: keys then values of each layer in turn. */
  readonly blockBytes: number;
  readonly #blockSize: number;
  /** [numBlocks] 1 where anything was ever written */
  readonly #touched: Uint8Array;

  constructor(spec: ModelSpec, { numBlocks, blockSize }: ModelLimits) {
    const slots = numBlocks * blockSize;
    this.layers = spec.layers.map(({ attention: { numKvHeads, headDim, vHeadDim } }) => ({
      keys: new Float32Array(slots * numKvHeads * headDim),
      values: new Float32Array(slots * numKvHeads * vHeadDim),
    }));
    this.#blockSize = blockSize;
    this.#touched = new Uint8Array(numBlocks);
    this.blockBytes = this.#parts(0).reduce((bytes, part) => bytes + part.byteLength, 0);
  }

  get committedBytes(): number {
    return this.#touched.reduce((count, touched) => count + touched, 0) * this.blockBytes;
  }

  get reservedBytes(): number {
    return this.#touched.length * this.blockBytes;
  }

  touch(slot: number): void {
    this.#touched[Math.floor(slot / this.#blockSize)] = 1;
  }

  copyBlock(from: number, to: number): void {
    const target = this.#parts(to);
    this.#parts(from).forEach((part, i) => target[i]!.set(part));
    this.#touched[to] = 1;
  }

  /** @param into [blockBytes] */
  readBlock(block: number, into: Uint8Array): void {
    let at = 0;
    for (const part of this.#parts(block)) {
      into.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
      at += part.byteLength;
    }
  }

  /** @param from [blockBytes] */
  writeBlock(block: number, from: Uint8Array): void {
    let at = 0;
    for (const part of this.#parts(block)) {
      new Uint8Array(part.buffer, part.byteOffset, part.byteLength).set(from.subarray(at, at + part.byteLength));
      at += part.byteLength;
    }
    this.#touched[block] = 1;
  }

  /** The views of one block: keys and values of each layer. */
  #parts(block: number): Float32Array[] {
    const numBlocks = this.#touched.length;
    return this.layers.flatMap(({ keys, values }) =>
      [keys, values].map((all) => {
        const size = all.length / numBlocks;
        return all.subarray(block * size, (block + 1) * size);
      }),
    );
  }
}

/**
 * Paged attention in plain TypeScript over an f32 cache: the example of a plug-in kernel, loaded by URL like any
 * other, and the oracle of the tests. It computes in f64, one query head at a time, and is not fast.
 */
import {
  DisposedError,
  InvalidOptionsError,
  type CpuAttention,
  type CpuAttentionConfig,
  type CpuAttentionLayer,
  type CreateCpuAttention,
  type ModelInput,
  type RopeTable,
} from "@weir/core";

/** @throws InvalidOptionsError unless `kvDtype` is f32 */
export const createCpuAttention: CreateCpuAttention = async (config) => {
  if (config.kvDtype !== "f32") {
    throw new InvalidOptionsError(`kvDtype '${config.kvDtype}': the TypeScript attention kernel stores f32 only`);
  }
  return new TypescriptAttention(config);
};

class TypescriptAttention implements CpuAttention {
  readonly blockBytes: number;
  readonly layout = "weir-typescript-f32-v1";
  readonly #config: CpuAttentionConfig;
  /** Per layer [maxNumBatchedTokens, width] f32 */
  readonly #qkv: readonly Float32Array[];
  readonly #output: readonly Float32Array[];
  /** Per layer [numBlocks, blockSize, numKvHeads, headDim + vHeadDim] f32 */
  readonly #cache: readonly Float32Array[];
  readonly #touched = new Set<number>();
  #input: ModelInput | undefined;
  #disposed = false;

  constructor(config: CpuAttentionConfig) {
    const { maxNumBatchedTokens, numBlocks, blockSize } = config.limits;
    this.#config = config;
    this.#qkv = config.layers.map((layer) => shared(maxNumBatchedTokens * (layer.numHeads * layer.headDim + kvWidth(layer))));
    this.#output = config.layers.map((layer) => shared(maxNumBatchedTokens * layer.numHeads * layer.vHeadDim));
    this.#cache = config.layers.map((layer) => shared(numBlocks * blockSize * kvWidth(layer)));
    this.blockBytes = config.layers.reduce((sum, layer) => sum + blockSize * kvWidth(layer) * 4, 0);
  }

  qkv(layer: number): Float32Array {
    return this.#qkv[layer]!;
  }

  output(layer: number): Float32Array {
    return this.#output[layer]!;
  }

  begin(input: ModelInput): void {
    this.#checkUsable();
    this.#input = input;
  }

  run(index: number): void {
    this.#checkUsable();
    const input = this.#input!;
    const layer = this.#config.layers[index]!;
    const rope = this.#config.ropes[layer.rope];
    for (let token = 0; token < input.numTokens; token++) {
      if (rope) this.#rotateToken(layer, rope, this.#row(index, token), input.positions[token]!);
      this.#store(index, token, input.slotMapping[token]!);
    }
    for (let seq = 0; seq < input.numSeqs; seq++) {
      for (let token = input.cuSeqlensQ[seq]!; token < input.cuSeqlensQ[seq + 1]!; token++) {
        const length = input.pastLens[seq]! + token - input.cuSeqlensQ[seq]! + 1;
        for (let head = 0; head < layer.numHeads; head++) this.#attend(index, seq, token, head, length);
      }
    }
  }

  copyBlocks(pairs: Int32Array): void {
    for (let i = 0; i < pairs.length; i += 2) {
      for (let layer = 0; layer < this.#cache.length; layer++) this.#block(layer, pairs[i + 1]!).set(this.#block(layer, pairs[i]!));
      this.#touched.add(pairs[i + 1]!);
    }
  }

  readBlock(block: number, into: Uint8Array): void {
    this.#eachLayer(block, (bytes, at) => into.set(bytes, at));
  }

  writeBlock(block: number, from: Uint8Array): void {
    this.#eachLayer(block, (bytes, at) => bytes.set(from.subarray(at, at + bytes.length)));
    this.#touched.add(block);
  }

  memory(): { readonly reservedBytes: number; readonly committedBytes: number } {
    return { reservedBytes: this.blockBytes * this.#config.limits.numBlocks, committedBytes: this.blockBytes * this.#touched.size };
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
  }

  #checkUsable(): void {
    if (this.#disposed) throw new DisposedError("attention: the kernel was disposed");
  }

  /** q heads, k heads, v heads of a token */
  #row(index: number, token: number): Float32Array {
    const layer = this.#config.layers[index]!;
    const width = layer.numHeads * layer.headDim + kvWidth(layer);
    return this.#qkv[index]!.subarray(token * width, (token + 1) * width);
  }

  #rotateToken(layer: CpuAttentionLayer, rope: RopeTable, row: Float32Array, position: number): void {
    for (let head = 0; head < layer.numHeads + layer.numKvHeads; head++) {
      rotate(row.subarray(head * layer.headDim, (head + 1) * layer.headDim), rope, position);
    }
  }

  #store(index: number, token: number, slot: number): void {
    if (slot < 0) return;
    const { numHeads, numKvHeads, headDim, vHeadDim } = this.#config.layers[index]!;
    const row = this.#row(index, token);
    for (let kvHead = 0; kvHead < numKvHeads; kvHead++) {
      const to = (slot * numKvHeads + kvHead) * (headDim + vHeadDim);
      const k = (numHeads + kvHead) * headDim;
      const v = (numHeads + numKvHeads) * headDim + kvHead * vHeadDim;
      this.#cache[index]!.set(row.subarray(k, k + headDim), to);
      this.#cache[index]!.set(row.subarray(v, v + vHeadDim), to + headDim);
    }
    this.#touched.add(Math.floor(slot / this.#config.limits.blockSize));
  }

  /** One head of one token over the first `length` positions of its sequence. */
  #attend(index: number, seq: number, token: number, head: number, length: number): void {
    const layer = this.#config.layers[index]!;
    const { blockSize } = this.#config.limits;
    const input = this.#input!;
    const q = this.#row(index, token).subarray(head * layer.headDim, (head + 1) * layer.headDim);
    const kvHead = Math.floor((head * layer.numKvHeads) / layer.numHeads);
    const first = layer.window > 0 ? Math.max(0, length - layer.window) : 0;
    const entry = (position: number): number => {
      const block = input.blockTables[seq * input.maxBlocksPerSeq + Math.floor(position / blockSize)]!;
      return ((block * blockSize + (position % blockSize)) * layer.numKvHeads + kvHead) * (layer.headDim + layer.vHeadDim);
    };
    const scores = new Float64Array(length);
    for (let p = first; p < length; p++) {
      const score = layer.scale * dot(q, this.#cache[index]!, entry(p));
      scores[p] = layer.softcap > 0 ? layer.softcap * Math.tanh(score / layer.softcap) : score;
    }
    const sink = layer.sinks?.[head] ?? -Infinity;
    const max = scores.subarray(first).reduce((a, b) => Math.max(a, b), sink);
    let total = Math.exp(sink - max);
    const sums = new Float64Array(layer.vHeadDim);
    for (let p = first; p < length; p++) {
      const weight = Math.exp(scores[p]! - max);
      const v = entry(p) + layer.headDim;
      total += weight;
      for (let d = 0; d < layer.vHeadDim; d++) sums[d]! += weight * this.#cache[index]![v + d]!;
    }
    const to = (token * layer.numHeads + head) * layer.vHeadDim;
    for (let d = 0; d < layer.vHeadDim; d++) this.#output[index]![to + d] = sums[d]! / total;
  }

  #block(layer: number, block: number): Float32Array {
    const size = this.#config.limits.blockSize * kvWidth(this.#config.layers[layer]!);
    return this.#cache[layer]!.subarray(block * size, (block + 1) * size);
  }

  #eachLayer(block: number, visit: (bytes: Uint8Array, at: number) => void): void {
    let at = 0;
    for (let layer = 0; layer < this.#cache.length; layer++) {
      const { buffer, byteOffset, byteLength } = this.#block(layer, block);
      visit(new Uint8Array(buffer, byteOffset, byteLength), at);
      at += byteLength;
    }
  }
}

function kvWidth(layer: CpuAttentionLayer): number {
  return layer.numKvHeads * (layer.headDim + layer.vHeadDim);
}

function dot(q: Float32Array, cache: Float32Array, at: number): number {
  return q.reduce((sum, x, d) => sum + x * cache[at + d]!, 0);
}

/** In place; pairs are neighbours or half the rotary dimensions apart. */
function rotate(x: Float32Array, { rotaryDim, interleaved, cos, sin }: RopeTable, position: number): void {
  const half = rotaryDim / 2;
  for (let i = 0; i < half; i++) {
    const [a, b] = interleaved ? [2 * i, 2 * i + 1] : [i, i + half];
    const [c, s] = [cos[position * half + i]!, sin[position * half + i]!];
    const [xa, xb] = [x[a]!, x[b]!];
    x[a] = xa * c - xb * s;
    x[b] = xb * c + xa * s;
  }
}

/** The runtime needs rows at fixed addresses. */
function shared(floats: number): Float32Array {
  return new Float32Array(new SharedArrayBuffer(floats * 4));
}

/**
 * Random weights in ggml's block formats. In: a tensor's type, element count and a seed; out: its bytes in chunks.
 * `write-gguf.mjs` streams them to disk. The payload is an AES-CTR key stream (fast, seekable, the same on every
 * machine); only the scales of each block are then overwritten, so that a dequantized weight has the wanted spread.
 * Layouts: ggml-common.h (block_q4_0, block_q8_0, block_q6_K).
 */
import { createCipheriv, createHash } from "node:crypto";

/**
 * id = ggml_type; weights = per block; bytes = per block; spread = standard deviation of a weight at scale 1.
 * @typedef {{ id: number, weights: number, bytes: number, spread: number }} BlockFormat
 * @type {Readonly<Record<'f32' | 'q4_0' | 'q8_0' | 'q6_k', BlockFormat>>}
 */
export const blockFormats = {
  f32: { id: 0, weights: 1, bytes: 4, spread: 1 },
  q4_0: { id: 2, weights: 32, bytes: 18, spread: 4.64 }, // d f16, 16 bytes of nibbles, minus 8
  q8_0: { id: 8, weights: 32, bytes: 34, spread: 73.9 }, // d f16, 32 s8
  q6_k: { id: 14, weights: 256, bytes: 210, spread: 18.5 * 4 }, // ql 128, qh 64, 16 s8 scales (set to 4), d f16
};

const BLOCKS_PER_CHUNK = 1 << 16;

/**
 * Yields the bytes of a quantized tensor of random weights with the given standard deviation.
 * @param {'q4_0' | 'q8_0' | 'q6_k'} type
 * @param {number} numWeights  a multiple of the block's weights
 * @param {string} seed        one per tensor
 * @param {number} std
 * @returns {Generator<Buffer>}
 */
export function* randomBlocks(type, numWeights, seed, std) {
  const { weights, bytes, spread } = blockFormats[type];
  if (numWeights % weights !== 0) throw new RangeError(`${type} needs a multiple of ${weights} weights, got ${numWeights}`);
  const stream = createCipheriv("aes-128-ctr", createHash("sha256").update(seed).digest().subarray(0, 16), Buffer.alloc(16));
  const scale = toHalf(std / spread);
  const zeros = Buffer.alloc(BLOCKS_PER_CHUNK * bytes);
  for (let left = numWeights / weights; left > 0; left -= BLOCKS_PER_CHUNK) {
    const numBlocks = Math.min(left, BLOCKS_PER_CHUNK);
    const chunk = stream.update(zeros.subarray(0, numBlocks * bytes));
    for (let at = 0; at < chunk.length; at += bytes) {
      if (type === "q6_k") chunk.fill(4, at + 192, at + 208);
      chunk.writeUInt16LE(scale, type === "q6_k" ? at + 208 : at);
    }
    yield chunk;
  }
}

/**
 * The f16 bits of a positive number in f16's normal range, rounded towards zero.
 * @param {number} x
 */
function toHalf(x) {
  const exponent = Math.floor(Math.log2(x));
  if (exponent < -14 || exponent > 15) throw new RangeError(`scale ${x} is outside f16's normal range`);
  return ((exponent + 15) << 10) | Math.floor((x / 2 ** exponent - 1) * 1024);
}

/**
 * Writes a GGUF v3 file of a shape with seeded random weights, the way `llama-quantize … Q4_0` would type them:
 * matrices Q4_0, norms and biases f32, the head (or the tied embedding) Q6_K, or Q8_0 where a row is no multiple
 * of 256. Cached by name. Called by `llama-cpp.mjs`; by hand: `node write-gguf.mjs <shape> [folder]`.
 * Knows the file format and nothing of engines.
 */
import { closeSync, existsSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { blockFormats, randomBlocks } from "./block-formats.mjs";
import { metadataOf } from "./gguf-metadata.mjs";
import { findShape } from "./shapes.mjs";

/** @typedef {import('./shapes.mjs').Shape} Shape */
/** @typedef {'q4_0' | 'q8_0' | 'q6_k'} BlockType */
/** @typedef {{ name: string, dims: number[], type: keyof typeof blockFormats, std: number, fill?: number }} Tensor */

const ALIGNMENT = 32;
export const defaultCacheFolder = join(tmpdir(), "weir-bench");

/**
 * Writes the file unless the cache folder has it, and returns its path.
 * @param {string} model
 * @param {{ folder?: string, seed?: number, weights?: 'q4_0' | 'q8_0', head?: BlockType }} [options]
 *   head: default is what llama-quantize would choose
 */
export function writeGguf(model, { folder = defaultCacheFolder, seed = 0, weights = "q4_0", head } = {}) {
  const { name, shape } = findShape(model);
  const headType = head ?? (shape.hidden % 256 === 0 && weights === "q4_0" ? "q6_k" : "q8_0");
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `${name}-${weights}-head-${headType}-seed-${seed}.gguf`);
  if (existsSync(path)) return path;
  const partial = `${path}.${process.pid}.partial`; // a killed run leaves no half file under the real name
  const fd = openSync(partial, "w");
  try {
    writeAll(fd, name, shape, { weights, headType, seed });
    renameSync(partial, path);
  } finally {
    closeSync(fd);
    rmSync(partial, { force: true });
  }
  return path;
}

/** @param {number} fd @param {string} name @param {Shape} shape @param {{ weights: BlockType, headType: BlockType, seed: number }} how */
function writeAll(fd, name, shape, { weights, headType, seed }) {
  const tensors = tensorsOf(shape, weights, headType);
  const metadata = metadataOf(name, shape, ALIGNMENT);
  const header = Buffer.concat([fileHeader(tensors.length, metadata.count), metadata.bytes, tensorInfos(tensors)]);
  writeFully(fd, padded(header));
  for (const tensor of tensors) {
    for (const chunk of tensorBytes(tensor, seed)) writeFully(fd, chunk);
    writeFully(fd, Buffer.alloc(paddingOf(byteLength(tensor))));
  }
}

/** @param {Shape} shape @param {BlockType} weights @param {BlockType} headType @returns {Tensor[]} */
function tensorsOf(shape, weights, headType) {
  const { hidden, heads, kvHeads, headDim, ffn, vocab, layers, arch, tied } = shape;
  /** @type {(name: string, numIn: number, numOut: number, type?: BlockType) => Tensor} */
  const matrix = (name, numIn, numOut, type = weights) => ({ name, dims: [numIn, numOut], type, std: 1 / Math.sqrt(numIn) });
  /** @type {(name: string, size: number, fill: number) => Tensor} */
  const vector = (name, size, fill) => ({ name, dims: [size], type: "f32", std: 0, fill });
  const tensors = [matrix("token_embd.weight", hidden, vocab, tied ? headType : weights)];
  for (let i = 0; i < layers; i++) {
    const at = `blk.${i}`;
    tensors.push(
      vector(`${at}.attn_norm.weight`, hidden, 1),
      matrix(`${at}.attn_q.weight`, hidden, heads * headDim),
      matrix(`${at}.attn_k.weight`, hidden, kvHeads * headDim),
      matrix(`${at}.attn_v.weight`, hidden, kvHeads * headDim),
      matrix(`${at}.attn_output.weight`, heads * headDim, hidden),
      vector(`${at}.ffn_norm.weight`, hidden, 1),
      matrix(`${at}.ffn_gate.weight`, hidden, ffn),
      matrix(`${at}.ffn_up.weight`, hidden, ffn),
      matrix(`${at}.ffn_down.weight`, ffn, hidden),
    );
    if (arch === "qwen2") {
      tensors.push(
        vector(`${at}.attn_q.bias`, heads * headDim, 0.01),
        vector(`${at}.attn_k.bias`, kvHeads * headDim, 0.01),
        vector(`${at}.attn_v.bias`, kvHeads * headDim, 0.01),
      );
    }
  }
  tensors.push(vector("output_norm.weight", hidden, 1));
  if (!tied) tensors.push(matrix("output.weight", hidden, vocab, headType));
  return tensors;
}

/** @param {number} numTensors @param {number} numKeys */
function fileHeader(numTensors, numKeys) {
  const bytes = Buffer.alloc(24);
  bytes.write("GGUF", 0, "latin1");
  bytes.writeUInt32LE(3, 4);
  bytes.writeBigUInt64LE(BigInt(numTensors), 8);
  bytes.writeBigUInt64LE(BigInt(numKeys), 16);
  return bytes;
}

/** @param {Tensor[]} tensors */
function tensorInfos(tensors) {
  let offset = 0;
  return Buffer.concat(
    tensors.map((tensor) => {
      const name = Buffer.from(tensor.name);
      const bytes = Buffer.alloc(8 + name.length + 4 + 8 * tensor.dims.length + 4 + 8);
      let at = bytes.writeBigUInt64LE(BigInt(name.length), 0);
      at += name.copy(bytes, at);
      at = bytes.writeUInt32LE(tensor.dims.length, at);
      for (const dim of tensor.dims) at = bytes.writeBigUInt64LE(BigInt(dim), at);
      at = bytes.writeUInt32LE(blockFormats[tensor.type].id, at);
      bytes.writeBigUInt64LE(BigInt(offset), at);
      offset += byteLength(tensor) + paddingOf(byteLength(tensor));
      return bytes;
    }),
  );
}

/** @param {Tensor} tensor @param {number} seed @returns {Iterable<Uint8Array>} */
function tensorBytes({ name, dims, type, std, fill }, seed) {
  const numWeights = dims.reduce((product, dim) => product * dim, 1);
  if (type !== "f32") return randomBlocks(type, numWeights, `${seed}:${name}`, std);
  return [new Uint8Array(new Float32Array(numWeights).fill(fill ?? 0).buffer)];
}

/** @param {Tensor} tensor */
function byteLength({ dims, type }) {
  const { weights, bytes } = blockFormats[type];
  return (dims.reduce((product, dim) => product * dim, 1) / weights) * bytes;
}

/** @param {number} length */
function paddingOf(length) {
  return (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
}

/** @param {Buffer} bytes */
function padded(bytes) {
  return Buffer.concat([bytes, Buffer.alloc(paddingOf(bytes.length))]);
}

/** @param {number} fd @param {Uint8Array} bytes */
function writeFully(fd, bytes) {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    console.log(writeGguf(process.argv[2] ?? "tiny", { folder: process.argv[3] ?? defaultCacheFolder }));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  }
}

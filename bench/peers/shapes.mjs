/**
 * The model shapes that both engines are measured on. Used by `write-gguf.mjs` (what to write) and
 * `llama-cpp.mjs` (which names `--model` accepts). Weir knows the same shapes as `random:<name>`.
 * Only shapes here: no weights, no file format.
 */

/**
 * @typedef {object} Shape
 * @property {'llama' | 'qwen2'} arch  qwen2 has biases on q, k, v
 * @property {number} hidden
 * @property {number} layers
 * @property {number} heads
 * @property {number} kvHeads
 * @property {number} headDim
 * @property {number} ffn
 * @property {number} vocab
 * @property {number} context   tokens, as written in the metadata
 * @property {number} ropeTheta
 * @property {boolean} tied     the head shares the token embedding
 */

/** @type {Readonly<Record<string, Shape>>} */
export const shapes = {
  "llama-1.1b": {
    arch: "llama",
    hidden: 2048,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    headDim: 64,
    ffn: 8192,
    vocab: 32000,
    context: 8192,
    ropeTheta: 500000,
    tied: false,
  },
  "qwen2.5-0.5b": {
    arch: "qwen2",
    hidden: 896,
    layers: 24,
    heads: 14,
    kvHeads: 2,
    headDim: 64,
    ffn: 4864,
    vocab: 151936,
    context: 32768,
    ropeTheta: 1e6,
    tied: true,
  },
  // A few hundred kilobytes: to try the writer and the flags, not to measure.
  tiny: {
    arch: "llama",
    hidden: 256,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    headDim: 64,
    ffn: 512,
    vocab: 512,
    context: 2048,
    ropeTheta: 10000,
    tied: false,
  },
};

/**
 * Finds a shape by name; the prefix `random:`, which Weir's own bench uses, is accepted too.
 * @param {string} name
 * @returns {{ name: string, shape: Shape }}
 * @throws {RangeError} if there is no such shape
 */
export function findShape(name) {
  const bare = name.replace(/^random:/, "");
  const shape = Object.hasOwn(shapes, bare) ? shapes[bare] : undefined;
  if (!shape) {
    throw new RangeError(`--model ${name}: no such shape; use one of ${Object.keys(shapes).join(", ")}`);
  }
  return { name: bare, shape };
}

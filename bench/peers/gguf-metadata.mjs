/**
 * The key-value section of a GGUF file for a shape. In: name, shape; out: encoded bytes and the number of keys.
 * Called by `write-gguf.mjs`. The tokenizer is the least that llama.cpp accepts: SentencePiece form with three
 * control tokens, 256 byte tokens, the space and distinct dummies; benchmarks feed token ids, so no text is ever encoded.
 */

/** @typedef {import('./shapes.mjs').Shape} Shape */

// gguf_type and llama_token_type numbers, from gguf.h and llama.h
const U32 = 4;
const I32 = 5;
const F32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;
const TOKEN_NORMAL = 1;
const TOKEN_UNKNOWN = 2;
const TOKEN_CONTROL = 3;
const TOKEN_BYTE = 6;

/** Ids below this one are control tokens, bytes and the space; random prompts start here. */
export const FIRST_DUMMY_TOKEN = 3 + 256 + 1;

/**
 * @param {string} name
 * @param {Shape} shape
 * @param {number} alignment  bytes
 * @returns {{ bytes: Buffer, count: number }}
 */
export function metadataOf(name, shape, alignment) {
  const { arch } = shape;
  const { texts, types } = vocabularyOf(shape.vocab);
  const entries = [
    entry("general.architecture", STRING, string(arch)),
    entry("general.name", STRING, string(`random ${name}`)),
    entry("general.alignment", U32, u32(alignment)),
    entry("general.file_type", U32, u32(2)), // mostly Q4_0
    entry("general.quantization_version", U32, u32(2)),
    entry(`${arch}.context_length`, U32, u32(shape.context)),
    entry(`${arch}.embedding_length`, U32, u32(shape.hidden)),
    entry(`${arch}.block_count`, U32, u32(shape.layers)),
    entry(`${arch}.feed_forward_length`, U32, u32(shape.ffn)),
    entry(`${arch}.vocab_size`, U32, u32(shape.vocab)),
    entry(`${arch}.attention.head_count`, U32, u32(shape.heads)),
    entry(`${arch}.attention.head_count_kv`, U32, u32(shape.kvHeads)),
    entry(`${arch}.attention.key_length`, U32, u32(shape.headDim)),
    entry(`${arch}.attention.value_length`, U32, u32(shape.headDim)),
    entry(`${arch}.attention.layer_norm_rms_epsilon`, F32, f32(1e-5)),
    entry(`${arch}.rope.dimension_count`, U32, u32(shape.headDim)),
    entry(`${arch}.rope.freq_base`, F32, f32(shape.ropeTheta)),
    entry("tokenizer.ggml.model", STRING, string("llama")),
    entry("tokenizer.ggml.tokens", ARRAY, array(STRING, texts.map(string))),
    entry(
      "tokenizer.ggml.scores",
      ARRAY,
      array(
        F32,
        texts.map((_, id) => f32(-id)),
      ),
    ),
    entry("tokenizer.ggml.token_type", ARRAY, array(I32, types.map(u32))),
    entry("tokenizer.ggml.unknown_token_id", U32, u32(0)),
    entry("tokenizer.ggml.bos_token_id", U32, u32(1)),
    entry("tokenizer.ggml.eos_token_id", U32, u32(2)),
    entry("tokenizer.ggml.add_bos_token", BOOL, Buffer.from([0])),
  ];
  return { bytes: Buffer.concat(entries), count: entries.length };
}

/** @param {number} size */
function vocabularyOf(size) {
  const texts = ["<unk>", "<s>", "</s>"];
  const types = [TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_CONTROL];
  for (let byte = 0; byte < 256; byte++) {
    texts.push(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    types.push(TOKEN_BYTE);
  }
  types.push(texts.push("\u2581") && TOKEN_NORMAL);
  while (texts.length < size) types.push(texts.push(`\u2581t${texts.length}`) && TOKEN_NORMAL);
  return { texts, types };
}

/** @param {string} key @param {number} type @param {Buffer} value */
function entry(key, type, value) {
  return Buffer.concat([string(key), u32(type), value]);
}

/** @param {number} type @param {Buffer[]} items */
function array(type, items) {
  return Buffer.concat([u32(type), u64(items.length), ...items]);
}

/** @param {string} text */
function string(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([u64(bytes.length), bytes]);
}

/** @param {number} value */
function u32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

/** @param {number} value */
function u64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** @param {number} value */
function f32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
}

/**
 * Mutations of safetensors files for the fuzz tests. In: a good file and a seed. Out: a file with a few bytes, numbers
 * or braces changed. Called by safetensors-header.fuzz tests only.
 */
import { ModelLoadError } from "../errors/index.js";
import { HEADER_LENGTH_BYTES, parseSafetensorsHeader, readHeaderLength } from "./safetensors-header.js";

/** A small file: three tensors, one of them empty, and metadata. */
export function goodFile(): Uint8Array {
  const header = JSON.stringify({
    __metadata__: { format: "pt" },
    "model.embed_tokens.weight": { dtype: "F32", shape: [3, 2], data_offsets: [0, 24] },
    empty: { dtype: "F16", shape: [0], data_offsets: [24, 24] },
    "model.norm.weight": { dtype: "BF16", shape: [2], data_offsets: [24, 28] },
  });
  const bytes = new TextEncoder().encode(header);
  const file = new Uint8Array(HEADER_LENGTH_BYTES + bytes.length + 28);
  new DataView(file.buffer).setBigUint64(0, BigInt(bytes.length), true);
  file.set(bytes, HEADER_LENGTH_BYTES);
  return file;
}

/** Deterministic in `seed`. */
export function mutate(file: Uint8Array, seed: number): Uint8Array {
  const random = generator(seed);
  let bytes: Uint8Array = file.slice();
  for (let n = 1 + random(3); n > 0; n--) bytes = MUTATIONS[random(MUTATIONS.length)]!(bytes, random);
  return bytes;
}

/**
 * Opens the bytes as a reader would.
 * @returns "loaded" or the ModelLoadError's message
 * @throws any other error, and Error when a loaded tensor does not lie inside of the file
 */
export function outcome(bytes: Uint8Array): string {
  try {
    const length = readHeaderLength(bytes.subarray(0, HEADER_LENGTH_BYTES), bytes.length);
    const header = bytes.subarray(HEADER_LENGTH_BYTES, HEADER_LENGTH_BYTES + length);
    const { tensors } = parseSafetensorsHeader(header, bytes.length);
    let covered = HEADER_LENGTH_BYTES + length;
    for (const { byteOffset, byteLength, shape } of tensors.values()) {
      if (byteOffset < HEADER_LENGTH_BYTES + length || byteOffset + byteLength > bytes.length) throw new Error("outside of the file");
      if (shape.some((size) => !Number.isSafeInteger(size) || size < 0)) throw new Error("a bad shape came through");
      covered += byteLength;
    }
    if (covered !== bytes.length) throw new Error("bytes without an owner came through");
    return "loaded";
  } catch (error) {
    if (error instanceof ModelLoadError) return error.message;
    throw error;
  }
}

type Random = (below: number) => number;
type Mutation = (bytes: Uint8Array, random: Random) => Uint8Array;

const SNIPPETS = [
  "{",
  "}",
  "[",
  "]",
  '"',
  ",",
  ":",
  "-1",
  "1e9",
  "0",
  "99999999999999999999",
  "null",
  "\\u0000",
  '"a":',
  "__proto__",
  "\u00ff",
];

const MUTATIONS: readonly Mutation[] = [
  (bytes, random) => changed(bytes, random(bytes.length), random(256)),
  (bytes, random) => changed(bytes, random(HEADER_LENGTH_BYTES), random(256)),
  (bytes, random) => bytes.slice(0, random(bytes.length + 1)),
  (bytes, random) => joined(bytes, new Uint8Array(random(40))),
  (bytes, random) => inserted(bytes, random, new TextEncoder().encode(SNIPPETS[random(SNIPPETS.length)]!)),
  (bytes, random) => {
    const start = random(bytes.length + 1);
    return inserted(bytes, random, bytes.slice(start, start + random(60)));
  },
  (bytes, random) => {
    const at = random(bytes.length + 1);
    return joined(bytes.slice(0, at), bytes.slice(at + random(8)));
  },
  // Another digit keeps the JSON whole, so this reaches the checks of the numbers.
  (bytes, random) => {
    const digits = [...bytes.keys()].filter((i) => bytes[i]! >= 0x30 && bytes[i]! <= 0x39);
    return digits.length === 0 ? bytes : changed(bytes, digits[random(digits.length)]!, 0x30 + random(10));
  },
];

function changed(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  if (at < copy.length) copy[at] = value;
  return copy;
}

/** Most insertions leave the length in front wrong; every other one puts it right. */
function inserted(bytes: Uint8Array, random: Random, piece: Uint8Array): Uint8Array {
  const at = Math.min(bytes.length, HEADER_LENGTH_BYTES + random(Math.max(1, bytes.length - HEADER_LENGTH_BYTES)));
  const longer = joined(joined(bytes.slice(0, at), piece), bytes.slice(at));
  if (random(2) === 0 && bytes.length >= HEADER_LENGTH_BYTES) {
    const view = new DataView(longer.buffer);
    view.setBigUint64(0, BigInt.asUintN(64, view.getBigUint64(0, true) + BigInt(piece.length)), true);
  }
  return longer;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** xorshift32 */
function generator(seed: number): Random {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995) >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

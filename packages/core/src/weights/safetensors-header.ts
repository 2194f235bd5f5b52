/**
 * The header of a safetensors file: 8 bytes of length, then JSON. Strict and pure.
 * In: bytes and sizes. Out: where each tensor lies. Called by file and fetch based weight sources.
 * The JSON is read by a scanner of its own, since JSON.parse hides duplicate keys and recursion depth;
 * nothing is allocated in proportion to a declared size.
 */
import type { TensorDtype } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { HeaderScanner } from "./safetensors-scanner.js";

export interface HeaderTensor {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Bytes from the start of the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, HeaderTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** The format's own limit. */
export const MAX_HEADER_BYTES = 100_000_000;
/** Bytes before the JSON. */
export const HEADER_LENGTH_BYTES = 8;

const DTYPE_BYTES: Readonly<Record<TensorDtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U8: 1,
  BOOL: 1,
};

/** Most dimensions of a tensor. */
const MAX_RANK = 16;

/**
 * Bytes of the JSON header.
 * @param start the file's first bytes, HEADER_LENGTH_BYTES if it has so many
 * @param fileSize bytes
 * @throws ModelLoadError
 */
export function readHeaderLength(start: Uint8Array, fileSize: number): number {
  if (start.length < HEADER_LENGTH_BYTES) {
    throw new ModelLoadError(`safetensors file has ${fileSize} bytes; even an empty one has ${HEADER_LENGTH_BYTES + 2}`);
  }
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  const limit = Math.min(MAX_HEADER_BYTES, fileSize - HEADER_LENGTH_BYTES);
  if (length < 2n || length > BigInt(limit)) {
    throw new ModelLoadError(`safetensors header length is ${length}; it must be from 2 to ${limit} in a file of ${fileSize} bytes`);
  }
  return Number(length);
}

/**
 * Parses and checks the JSON header: every byte after it belongs to exactly one tensor.
 * @param header the JSON bytes alone
 * @param fileSize bytes of the whole file
 * @throws ModelLoadError naming the tensor
 */
export function parseSafetensorsHeader(header: Uint8Array, fileSize: number): SafetensorsHeader {
  const scanner = new HeaderScanner(decodeUtf8(header));
  const dataStart = HEADER_LENGTH_BYTES + header.length;
  const tensors = new Map<string, HeaderTensor>();
  let metadata: ReadonlyMap<string, string> = new Map();
  scanner.object("the header", (name) => {
    if (name === "__metadata__") metadata = scanner.stringMap(name);
    else tensors.set(checkName(name), readTensor(scanner, name, dataStart));
  });
  scanner.end();
  checkCoverage(tensors, dataStart, fileSize);
  return { tensors, metadata };
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new ModelLoadError("safetensors header is not valid UTF-8", { cause });
  }
}

function checkName(name: string): string {
  if (name === "" || name === "__proto__") {
    throw new ModelLoadError(`safetensors header names a tensor ${JSON.stringify(name)}, which is not allowed`);
  }
  return name;
}

function readTensor(scanner: HeaderScanner, name: string, dataStart: number): HeaderTensor {
  let dtype: TensorDtype | undefined;
  let shape: readonly number[] | undefined;
  let offsets: readonly number[] | undefined;
  scanner.object(`tensor ${name}`, (field) => {
    if (field === "dtype") dtype = checkDtype(name, scanner.string(`dtype of tensor ${name}`));
    else if (field === "shape") shape = scanner.integers(`shape of tensor ${name}`, MAX_RANK);
    else if (field === "data_offsets") offsets = scanner.integers(`data_offsets of tensor ${name}`, 2);
    else throw new ModelLoadError(`safetensors header: tensor ${name} has an unknown field ${JSON.stringify(field)}`);
  });
  if (!dtype || !shape || offsets?.length !== 2) {
    throw new ModelLoadError(`safetensors header: tensor ${name} must have dtype, shape and two data_offsets`);
  }
  const [begin, end] = offsets as [number, number];
  if (end < begin) throw new ModelLoadError(`safetensors header: data_offsets of tensor ${name} are reversed: [${begin}, ${end}]`);
  const byteLength = tensorBytes(name, dtype, shape);
  if (byteLength !== end - begin) {
    throw new ModelLoadError(
      `safetensors header: tensor ${name} spans ${end - begin} bytes; ${dtype} [${shape.join(", ")}] takes ${byteLength}`,
    );
  }
  return { dtype, shape, byteOffset: dataStart + begin, byteLength };
}

function checkDtype(name: string, dtype: string): TensorDtype {
  if (Object.hasOwn(DTYPE_BYTES, dtype)) return dtype as TensorDtype;
  const shown = JSON.stringify(dtype.slice(0, 20));
  throw new ModelLoadError(`safetensors header: tensor ${name} has dtype ${shown}; known are ${Object.keys(DTYPE_BYTES).join(", ")}`);
}

function tensorBytes(name: string, dtype: TensorDtype, shape: readonly number[]): number {
  let bytes = DTYPE_BYTES[dtype];
  for (const size of shape) {
    bytes *= size;
    if (bytes > Number.MAX_SAFE_INTEGER) {
      throw new ModelLoadError(`safetensors header: shape [${shape.join(", ")}] of tensor ${name} is larger than 2^53 bytes`);
    }
  }
  return bytes;
}

/** No overlaps, no holes, nothing after the last tensor; an empty tensor may only lie between two others. */
function checkCoverage(tensors: ReadonlyMap<string, HeaderTensor>, dataStart: number, fileSize: number): void {
  const inOrder = [...tensors].sort(([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  let position = dataStart;
  for (const [name, { byteOffset, byteLength }] of inOrder) {
    if (byteOffset !== position) {
      const what = byteOffset < position ? "overlaps the tensor before it" : "leaves a hole before it";
      throw new ModelLoadError(
        `safetensors header: tensor ${name} ${what}: it starts at data byte ${byteOffset - dataStart}, expected ${position - dataStart}`,
      );
    }
    position += byteLength;
    if (position > fileSize) {
      throw new ModelLoadError(
        `safetensors file has ${fileSize - dataStart} data bytes; tensor ${name} ends at ${position - dataStart}: the file is cut off`,
      );
    }
  }
  if (position !== fileSize) {
    throw new ModelLoadError(`safetensors file has ${fileSize - position} bytes after the last tensor`);
  }
}

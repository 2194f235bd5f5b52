/**
 * One file of prepared weights: header, tensors, index.
 * Layout: 64 bytes of header at 0 (magic, index offset, index length, file length as u64 LE, SHA-256 of the
 * index), tensors from 4096 on, each at a multiple of 64, then the index as JSON. Written to a temporary name
 * and linked into place, so that a reader sees a whole file or none. Validated on opening: a file that is cut short,
 * foreign or inconsistent counts as absent.
 */
import { createHash } from "node:crypto";
import { link, open, rename, rm } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { elementBytes } from "../graph/element-type.js";
import type { ElementName } from "../graph/element-type.js";
import { storedTensors } from "./prepared-weights.js";
import type { PreparedEmbedding, PreparedLinear, StoredTensor } from "./prepared-weights.js";

/** What a cache file holds: the weights that are not used in place. */
export interface CacheIndex {
  /** Everything the contents depend on; must be what the reader wants. */
  readonly key: string;
  readonly embedding?: PreparedEmbedding;
  readonly groups: Readonly<Record<string, readonly PreparedLinear[]>>;
}

const MAGIC = "WEIRWTS1";
const HEADER_BYTES = 64;
const FIRST_TENSOR = 4096;
const ALIGNMENT = 64;
const MAX_INDEX_BYTES = 64 << 20;

/** @returns the index with `path` in every tensor, or undefined when there is no whole file for `key` */
export async function openCacheFile(path: string, key: string): Promise<CacheIndex | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch {
    return undefined;
  }
  try {
    const index = await readIndex(file);
    return index?.key === key ? withPath(index, path) : undefined;
  } catch {
    return undefined;
  } finally {
    await file.close();
  }
}

/** Writes a cache file tensor by tensor; `abandon` or `finish` must follow. */
export class CacheFileWriter {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #temporary: string;
  #length = FIRST_TENSOR;

  private constructor(file: FileHandle, path: string, temporary: string) {
    this.#file = file;
    this.#path = path;
    this.#temporary = temporary;
  }

  /** The folder must exist. */
  static async create(path: string): Promise<CacheFileWriter> {
    const temporary = `${path}.${process.pid}-${Math.random().toString(36).slice(2)}.tmp`;
    return new CacheFileWriter(await open(temporary, "wx", 0o600), path, temporary);
  }

  async append(type: ElementName, shape: readonly number[], data: ArrayBufferView): Promise<StoredTensor> {
    const byteOffset = this.#length;
    await writeFully(this.#file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), byteOffset);
    this.#length = Math.ceil((byteOffset + data.byteLength) / ALIGNMENT) * ALIGNMENT;
    return { type, shape, path: "", byteOffset, byteLength: data.byteLength };
  }

  /**
   * Makes the file appear under its name. Where another process was first, its file is kept.
   * @returns the index of the file that is there now
   */
  async finish(index: CacheIndex): Promise<CacheIndex> {
    const text = new TextEncoder().encode(JSON.stringify(index));
    await writeFully(this.#file, text, this.#length);
    await writeFully(this.#file, header(text, this.#length), 0);
    await this.#file.datasync();
    await this.#file.close();
    const theirs = await publish(this.#temporary, this.#path, index.key);
    await rm(this.#temporary, { force: true });
    return theirs ?? withPath(index, this.#path);
  }

  /** Removes what was written. Idempotent. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {});
    await rm(this.#temporary, { force: true });
  }
}

/** @returns the index of a whole file that was there already and stays; undefined when ours took the name */
async function publish(temporary: string, path: string, key: string): Promise<CacheIndex | undefined> {
  try {
    await link(temporary, path);
    return undefined;
  } catch {
    // Taken, or a file system without hard links.
  }
  const theirs = await openCacheFile(path, key);
  if (!theirs) await rename(temporary, path);
  return theirs;
}

function header(index: Uint8Array, offset: number): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  new TextEncoder().encodeInto(MAGIC, bytes);
  view.setBigUint64(8, BigInt(offset), true);
  view.setBigUint64(16, BigInt(index.byteLength), true);
  view.setBigUint64(24, BigInt(offset + index.byteLength), true);
  bytes.set(sha256(index), 32);
  return bytes;
}

async function readIndex(file: FileHandle): Promise<CacheIndex | undefined> {
  const bytes = new Uint8Array(HEADER_BYTES);
  const { bytesRead } = await file.read(bytes, 0, HEADER_BYTES, 0);
  if (bytesRead < HEADER_BYTES || new TextDecoder().decode(bytes.subarray(0, 8)) !== MAGIC) return undefined;
  const view = new DataView(bytes.buffer);
  const [offset, length, total] = [8, 16, 24].map((at) => Number(view.getBigUint64(at, true))) as [number, number, number];
  if ((await file.stat()).size !== total || offset + length !== total || length > MAX_INDEX_BYTES) return undefined;
  const text = new Uint8Array(length);
  await file.read(text, 0, length, offset);
  if (Buffer.compare(sha256(text), bytes.subarray(32)) !== 0) return undefined;
  const index = JSON.parse(new TextDecoder().decode(text)) as CacheIndex;
  return allTensors(index).every((tensor) => fits(tensor, offset)) ? index : undefined;
}

/** A tensor that reaches beyond the file would be a bus error in the runtime, not an exception. */
function fits({ type, shape, byteOffset, byteLength }: StoredTensor, end: number): boolean {
  const elements = shape.reduce((product, size) => product * size, 1);
  return byteOffset >= FIRST_TENSOR && byteOffset + byteLength <= end && byteLength === elements * elementBytes[type];
}

function allTensors(index: CacheIndex): StoredTensor[] {
  return [...(index.embedding ? [index.embedding] : []), ...Object.values(index.groups).flat()].flatMap(storedTensors);
}

function withPath(index: CacheIndex, path: string): CacheIndex {
  return JSON.parse(JSON.stringify(index), (name, value: unknown) => (name === "path" ? path : value)) as CacheIndex;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash("sha256").update(bytes).digest();
}

/** A short write is not an error of write(). */
async function writeFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength;) {
    done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten;
  }
}

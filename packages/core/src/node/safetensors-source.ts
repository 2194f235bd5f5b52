/**
 * SafetensorsSource: a WeightSource over one or more safetensors files, read by position.
 * In: paths. Out: tensors by name, bytes on demand into the caller's buffer; no file is mapped or copied whole.
 * Called by the model folder reader, and through its locator by backends' workers.
 */
import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename } from "node:path";
import type { TensorInfo, WeightLocator, WeightSource } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { builtModule } from "../platform/built-module.js";
import { HEADER_LENGTH_BYTES, type HeaderTensor, parseSafetensorsHeader, readHeaderLength } from "../weights/safetensors-header.js";
import { asLoadError } from "./confined-file.js";

export interface SafetensorsOptions {
  /** Paths, in order. */
  readonly files: readonly string[];
  /** Refuse files that are not these any more; what a locator carries. */
  readonly identity?: string;
}

/**
 * Opens the files and checks their headers; reads no tensor data.
 * @throws ModelLoadError naming the file and tensor
 */
export async function openWeights(options: SafetensorsOptions): Promise<WeightSource> {
  const files: OpenFile[] = [];
  try {
    for (const path of options.files) files.push(await openFile(path));
    const source = new SafetensorsSource(files);
    if (options.identity !== undefined && source.identity !== options.identity) {
      throw new ModelLoadError(`weights changed on disk since the model was opened; open it again`);
    }
    return source;
  } catch (error) {
    await Promise.all(files.map(({ handle }) => handle.close()));
    throw error;
  }
}

interface OpenFile {
  readonly path: string;
  readonly handle: FileHandle;
  readonly size: number;
  readonly mtimeMs: number;
  readonly headerHash: string;
  readonly tensors: ReadonlyMap<string, HeaderTensor>;
}

class SafetensorsSource implements WeightSource {
  readonly identity: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly locator: WeightLocator;
  readonly #files: readonly OpenFile[];
  /** Tensor name -> index into #files. */
  readonly #fileOf = new Map<string, number>();
  #closed = false;

  constructor(files: readonly OpenFile[]) {
    this.#files = files;
    this.identity = identityOf(files);
    this.locator = {
      module: builtModule(import.meta.url),
      options: { files: files.map(({ path }) => path), identity: this.identity } satisfies SafetensorsOptions,
    };
    const tensors = new Map<string, TensorInfo>();
    files.forEach((file, index) => {
      for (const [name, { byteOffset, ...tensor }] of file.tensors) {
        if (tensors.has(name)) throw new ModelLoadError(`tensor ${name} is in two of the weight files`);
        tensors.set(name, { name, ...tensor, file: { path: file.path, byteOffset } });
        this.#fileOf.set(name, index);
      }
    });
    this.tensors = tensors;
  }

  async read(name: string, byteOffset: number, into: Uint8Array): Promise<void> {
    const file = this.#files[this.#fileOf.get(name) ?? -1];
    const tensor = file?.tensors.get(name);
    if (!file || !tensor) throw new ModelLoadError(`tensor ${name} is not in the weights`);
    if (this.#closed) throw new ModelLoadError(`tensor ${name} cannot be read: the weights are closed`);
    if (!Number.isInteger(byteOffset) || byteOffset < 0 || byteOffset + into.length > tensor.byteLength) {
      throw new ModelLoadError(
        `bytes ${byteOffset} to ${byteOffset + into.length} of tensor ${name} were asked for; it has ${tensor.byteLength}`,
      );
    }
    try {
      await readFully(file, tensor.byteOffset + byteOffset, into);
    } catch (error) {
      throw asLoadError(error, `tensor ${name} in ${basename(file.path)}`);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await Promise.all(this.#files.map(({ handle }) => handle.close()));
  }
}

async function openFile(path: string): Promise<OpenFile> {
  const name = basename(path);
  let handle: FileHandle | undefined;
  try {
    // A FIFO in the folder must not make us wait for its writer.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = await handle.stat();
    if (!stats.isFile()) throw new ModelLoadError("it is not a regular file");
    const start = Buffer.alloc(HEADER_LENGTH_BYTES);
    const { bytesRead } = await handle.read(start, 0, HEADER_LENGTH_BYTES, 0);
    const header = Buffer.allocUnsafeSlow(readHeaderLength(start.subarray(0, bytesRead), stats.size));
    const file = { path, handle, size: stats.size, mtimeMs: stats.mtimeMs };
    await readFully(file, HEADER_LENGTH_BYTES, header);
    const { tensors } = parseSafetensorsHeader(header, stats.size);
    return { ...file, tensors, headerHash: createHash("sha256").update(header).digest("hex") };
  } catch (error) {
    await handle?.close();
    const load = asLoadError(error, name);
    throw load.message.startsWith(name) ? load : new ModelLoadError(`${name}: ${load.message}`, { cause: error });
  }
}

/** Reads until `into` is full; a file that was cut or rewritten meanwhile is an error, never stale bytes. */
async function readFully(file: Pick<OpenFile, "handle" | "size" | "mtimeMs">, position: number, into: Uint8Array): Promise<void> {
  // One call may give less than asked for, and no more than 2 GiB.
  const MOST = 2 ** 30;
  for (let done = 0; done < into.length;) {
    const { bytesRead } = await file.handle.read(into, done, Math.min(MOST, into.length - done), position + done);
    if (bytesRead === 0) throw new ModelLoadError("the file was cut while it was being read");
    done += bytesRead;
  }
  const now = await file.handle.stat();
  if (now.size !== file.size || now.mtimeMs !== file.mtimeMs) {
    throw new ModelLoadError("the file changed while it was being read; load the model again");
  }
}

function identityOf(files: readonly OpenFile[]): string {
  const hash = createHash("sha256");
  for (const { size, mtimeMs, headerHash } of files) hash.update(`${size} ${mtimeMs} ${headerHash}\n`);
  return `safetensors-${hash.digest("hex").slice(0, 32)}`;
}

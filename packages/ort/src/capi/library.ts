/**
 * ONNX Runtime's C API in this thread: the shared library, its function table, and the count of live handles.
 * In: a path (default: the library inside onnxruntime-node). Out: one OrtLibrary per path and thread.
 * The library itself, its environment and its thread pools are process-wide.
 */
import { BackendUnavailableError } from "@weir/core";
import { createRequire } from "node:module";
import { FUNCTIONS, MIN_API_VERSION } from "./functions.js";
import type { CType, NativeFunction, OrtFunctionName, Pointer, PointerArg, Signature } from "./functions.js";
import { HandleCounter } from "./handle-counter.js";
import { locateLibrary } from "./locate-library.js";
import { toWeirError } from "./status.js";
import type { StatusContext } from "./status.js";

type Koffi = typeof import("koffi").default;

export class OrtLibrary {
  readonly path: string;
  /** ONNX Runtime's version, e.g. "1.30.0". */
  readonly version: string;
  readonly handles: HandleCounter = new HandleCounter();
  readonly #koffi: Koffi;
  readonly #api: Pointer;
  readonly #getApi: (version: number) => Pointer | null;
  readonly #bound = new Map<OrtFunctionName, NativeFunction>();
  readonly #errorCode: (status: Pointer) => number;
  readonly #errorMessage: (status: Pointer) => string;
  // One pointer of scratch memory for `void**` results; never given to an asynchronous call.
  readonly #out = new BigUint64Array(1);

  constructor(koffi: Koffi, path: string) {
    // Asynchronous runs work on the calling thread of the pool too; koffi's 128 KiB of stack are too few for kernels.
    if (koffi.config().async_stack_size! < ASYNC_STACK_BYTES) koffi.config({ async_stack_size: ASYNC_STACK_BYTES });
    const library = koffi.load(path);
    pinLibrary(koffi, path);
    const base: Pointer = library.func("OrtGetApiBase", "void *", [])();
    const getApi = koffi.decode(koffi.decode(base, 0, "void *"), koffi.proto("void *", ["uint32_t"]));
    const getVersion = koffi.decode(koffi.decode(base, 8, "void *"), koffi.proto("const char *", []));
    const api: Pointer | null = getApi(MIN_API_VERSION);
    if (!api) throw new Error(`it does not speak version ${MIN_API_VERSION} of the C API`);
    this.path = path;
    this.version = getVersion();
    this.#koffi = koffi;
    this.#api = api;
    this.#getApi = getApi;
    this.#errorCode = this.#bind(1, koffi.proto("int", ["void *"]));
    this.#errorMessage = this.#bind(2, koffi.proto("const char *", ["void *"]));
  }

  /** The C function, bound on first use. */
  fn(name: OrtFunctionName): NativeFunction {
    let bound = this.#bound.get(name);
    if (!bound) {
      const [index, result, ...args]: Signature = FUNCTIONS[name];
      const proto = this.#koffi.proto(result === "status" ? "void *" : "void", args.map(cType));
      bound = this.#bind<NativeFunction>(index, proto);
      this.#bound.set(name, bound);
    }
    return bound;
  }

  /**
   * The table of functions is one for all versions, so that a later entry can be called as soon as this has passed.
   * @throws BackendUnavailableError when the library is older
   */
  requireApi(version: number): void {
    if (this.#getApi(version)) return;
    throw new BackendUnavailableError(`${this.path} is ONNX Runtime ${this.version}; version ${version} of its C API is needed`);
  }

  /** Throws what `status` says and releases it; returns when it is null. */
  check(status: Pointer | null, what: string, context: StatusContext = "call"): void {
    if (status === null) return;
    const error = toWeirError(this.#errorCode(status), this.#errorMessage(status), what, context);
    this.fn("ReleaseStatus")(status);
    throw error;
  }

  /** Calls a function whose last parameter is a `void**` result. */
  out(name: OrtFunctionName, what: string, ...args: readonly (PointerArg | number | string)[]): Pointer {
    this.check(this.fn(name)(...args, this.#out), what);
    return this.#out[0]!;
  }

  /** Address of caller's memory. The array must be kept referenced and must not be detached while it is in use. */
  address(memory: ArrayBufferView): Pointer {
    return this.#koffi.address(memory);
  }

  /** The zero-terminated UTF-8 string at an address. */
  string(address: Pointer): string {
    return this.#koffi.decode(address, "char", -1) as string;
  }

  /** The strings of a `char*` array. */
  strings(address: Pointer, count: number): string[] {
    return Array.from({ length: count }, (_, i) => this.string(this.#koffi.decode(address, i * 8, "void *") as Pointer));
  }

  /**
   * Gives memory that was freed back to the system. glibc keeps blocks below 32 MB on its heap otherwise: after a model of
   * 1 GB is disposed, nearly all of it. Does nothing elsewhere.
   */
  releaseFreedMemory(): void {
    if (process.platform !== "linux") return;
    try {
      this.#koffi.load(null).func("malloc_trim", "int", ["size_t"])(0);
    } catch {
      // Not glibc.
    }
  }

  #bind<F>(index: number, proto: unknown): F {
    const pointer: Pointer = this.#koffi.decode(this.#api, index * 8, "void *");
    return this.#koffi.decode(pointer, proto as never) as F;
  }
}

/**
 * The library for `path`, loaded once per thread.
 * @param path default: the one inside onnxruntime-node
 * @throws BackendUnavailableError where the platform has none or it cannot be loaded
 */
export function loadOrtLibrary(path: string = locateLibrary()): OrtLibrary {
  let library = LOADED.get(path);
  if (!library) {
    try {
      const koffi = createRequire(import.meta.url)("koffi") as Koffi;
      library = new OrtLibrary(koffi, path);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new BackendUnavailableError(
        `ONNX Runtime cannot be loaded on ${process.platform}-${process.arch} (${reason}); it needs glibc on Linux, and the packages onnxruntime-node 1.30.0 and koffi 3.3.4`,
        { cause },
      );
    }
    LOADED.set(path, library);
  }
  return library;
}

const LOADED = new Map<string, OrtLibrary>();

const ASYNC_STACK_BYTES = 2 << 20;

/**
 * Opens the library once more, for good. koffi closes its own handle when that is collected or its worker ends, and
 * would unmap the code under the threads of ONNX Runtime's pools (library.test.ts).
 */
function pinLibrary(koffi: Koffi, path: string): void {
  if (process.platform === "win32") koffi.load("kernel32.dll").func("LoadLibraryW", "void *", ["str16"])(path);
  else koffi.load(null).func("dlopen", "void *", ["str", "int"])(path, RTLD_NOW);
}

const RTLD_NOW = 2;

function cType(type: CType): string {
  if (type === "ptr") return "void *";
  if (type === "size") return "size_t";
  if (type === "int") return "int";
  if (type === "strs") return "const char **";
  return type === "path" && process.platform === "win32" ? "str16" : "str";
}

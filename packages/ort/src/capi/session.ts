/**
 * OrtSession: a model loaded into ONNX Runtime.
 * In: a model's bytes or file and options. Out: its input and output names, and runs over pre-made values
 * (`RunCall`, `IoBinding`). Called by segments, on the thread that made it.
 */
import type { Pointer } from "./functions.js";
import { NativeHandle } from "./handle.js";
import type { OrtEnv } from "./ort-env.js";
import { OrtSessionOptions } from "./session-options.js";
import type { SessionOptions } from "./session-options.js";

export class Session extends NativeHandle {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];

  /**
   * @param model an ONNX model: its bytes, which are not kept, or the path of its file
   * @param pointer a session made of them already (`open`)
   * @throws ModelLoadError when ONNX Runtime refuses it; BackendUnavailableError when the provider cannot be used
   */
  constructor(
    env: OrtEnv,
    model: Uint8Array | string,
    options: SessionOptions = {},
    pointer: Pointer = createSession(env, model, options),
  ) {
    super(env.library, "session", "ReleaseSession", pointer);
    this.inputNames = this.#names("SessionGetInputCount", "SessionGetInputName");
    this.outputNames = this.#names("SessionGetOutputCount", "SessionGetOutputName");
  }

  /**
   * As the constructor, off the event loop: weights may take seconds to get to a device.
   * @param context what a failure means: "load" blames the model, "provider" the execution provider
   */
  static async open(env: OrtEnv, model: Uint8Array, options: SessionOptions, context: "load" | "provider" = "load"): Promise<Session> {
    return new Session(env, model, options, await createSessionAsync(env, model, options, context));
  }

  /** Ends the profile begun by `profilePrefix`. @returns the profile's path */
  endProfiling(): string {
    const allocator = this.library.out("GetAllocatorWithDefaultOptions", "allocator");
    return this.#takeString(allocator, this.library.out("SessionEndProfiling", "end of profiling", this.pointer, allocator));
  }

  #names(count: "SessionGetInputCount" | "SessionGetOutputCount", name: "SessionGetInputName" | "SessionGetOutputName"): string[] {
    const allocator = this.library.out("GetAllocatorWithDefaultOptions", "allocator");
    const length = Number(this.library.out(count, "names", this.pointer));
    return Array.from({ length }, (_, i) => this.#takeString(allocator, this.library.out(name, "name", this.pointer, i, allocator)));
  }

  #takeString(allocator: Pointer, address: Pointer): string {
    const text = this.library.string(address);
    this.library.check(this.library.fn("AllocatorFree")(allocator, address), "free a string");
    return text;
  }
}

async function createSessionAsync(env: OrtEnv, model: Uint8Array, options: SessionOptions, context: "load" | "provider"): Promise<Pointer> {
  const { library } = env;
  const native = new OrtSessionOptions(library, options);
  // ArrayBuffers of their own, which do not move while another thread reads and writes them.
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(model.byteLength, 4096)));
  bytes.set(model);
  const out = new BigUint64Array(new ArrayBuffer(4096));
  try {
    await new Promise<void>((resolve, reject) => {
      const done = (error: unknown, status: Pointer | null): void => {
        try {
          if (error) throw error;
          library.check(status, "ONNX model", context);
          resolve();
        } catch (reason) {
          reject(reason as Error);
        }
      };
      const create = library.fn("CreateSessionFromArray");
      create.async(env.pointer, library.address(bytes), model.byteLength, native.pointer, library.address(out), done);
    });
  } finally {
    native.dispose();
  }
  return out[0]!;
}

function createSession(env: OrtEnv, model: Uint8Array | string, options: SessionOptions): Pointer {
  const { library } = env;
  const native = new OrtSessionOptions(library, options);
  const out = new BigUint64Array(1);
  try {
    const status =
      typeof model === "string"
        ? library.fn("CreateSession")(env.pointer, model, native.pointer, out)
        : library.fn("CreateSessionFromArray")(env.pointer, model, model.byteLength, native.pointer, out);
    library.check(status, "ONNX model", "load");
  } finally {
    native.dispose();
  }
  return out[0]!;
}

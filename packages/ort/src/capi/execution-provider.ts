/**
 * Execution providers: what besides the CPU may run a session's nodes. In: a provider's name and options. Out: a
 * session option, or BackendUnavailableError with ONNX Runtime's reason. Called by `session-options.ts`.
 */
import { BackendUnavailableError } from "@weir/core";
import { DEVICE_API_VERSION } from "./functions.js";
import type { Pointer } from "./functions.js";
import type { OrtLibrary } from "./library.js";

export interface ExecutionProvider {
  readonly name: "CUDA" | "WebGPU";
  /** The provider's own options, as ONNX Runtime spells them, e.g. { device_id: "0" }. */
  readonly options?: Readonly<Record<string, string>>;
}

/** @throws BackendUnavailableError when the library was built without it, or what it needs cannot be loaded */
export function appendProvider(library: OrtLibrary, sessionOptions: Pointer, { name, options = {} }: ExecutionProvider): void {
  library.requireApi(DEVICE_API_VERSION);
  checkBuiltIn(library, name);
  const [keys, values] = [Object.keys(options), Object.values(options)];
  if (name === "CUDA") return appendCuda(library, sessionOptions, keys, values);
  const append = library.fn("SessionOptionsAppendExecutionProvider");
  library.check(append(sessionOptions, name, keys, values, keys.length), `${name} execution provider`, "provider");
}

/** Names of the providers that the library was built with, e.g. "CUDAExecutionProvider"; they need not be usable. */
export function availableProviders(library: OrtLibrary): string[] {
  const names = new BigUint64Array(1);
  const count = new Int32Array(1);
  library.check(library.fn("GetAvailableProviders")(names, count), "execution providers");
  const found = library.strings(names[0]!, count[0]!);
  library.check(library.fn("ReleaseAvailableProviders")(names[0]!, count[0]!), "execution providers");
  return found;
}

function checkBuiltIn(library: OrtLibrary, name: ExecutionProvider["name"]): void {
  const known = availableProviders(library);
  const wanted = `${name}ExecutionProvider`.toLowerCase();
  if (known.some((each) => each.toLowerCase() === wanted)) return;
  throw new BackendUnavailableError(
    `ONNX Runtime ${library.version} at ${library.path} was built without the ${name} execution provider; it has ${known.join(", ")}`,
  );
}

function appendCuda(library: OrtLibrary, sessionOptions: Pointer, keys: string[], values: string[]): void {
  const what = "CUDA execution provider";
  const cuda = library.out("CreateCUDAProviderOptions", what);
  try {
    library.check(library.fn("UpdateCUDAProviderOptions")(cuda, keys, values, keys.length), what, "provider");
    library.check(library.fn("SessionOptionsAppendExecutionProvider_CUDA_V2")(sessionOptions, cuda), what, "provider");
  } finally {
    library.fn("ReleaseCUDAProviderOptions")(cuda);
  }
}

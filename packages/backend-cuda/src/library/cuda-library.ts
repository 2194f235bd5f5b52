/**
 * Where ONNX Runtime with its CUDA execution provider lies: a folder that has both libraries, since ONNX Runtime looks
 * for its providers beside itself. In: option and environment. Out: the path of ONNX Runtime's library, or one error
 * that says where it looked and what to install.
 */
import { existsSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { BackendUnavailableError } from "@weir/core";
import { locateLibrary } from "@weir/ort";

export const LIBRARY_VARIABLE = "WEIR_CUDA_LIBRARY";

export interface CudaLibrarySearch {
  /** The folder, or a file in it; then no other folder is looked into. */
  readonly libraryPath?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly platform?: string;
  readonly arch?: string;
}

/** @throws BackendUnavailableError */
export function findCudaLibrary({
  libraryPath,
  environment = process.env,
  platform = process.platform,
  arch = process.arch,
}: CudaLibrarySearch = {}): string {
  const names = NAMES[`${platform}-${arch}`];
  if (!names)
    throw new BackendUnavailableError(`CUDA runs on ${Object.keys(NAMES).join(" and ")}, this is ${platform}-${arch}; ${OTHERWISE}`);
  const asked = libraryPath ?? environment[LIBRARY_VARIABLE];
  const folders = asked ? [asFolder(asked)] : knownFolders(environment);
  const misses: string[] = [];
  for (const folder of folders) {
    const found = lookInto(folder, names);
    if (found.path !== undefined) return found.path;
    misses.push(`${folder} (${found.why})`);
  }
  throw new BackendUnavailableError(
    `ONNX Runtime's CUDA execution provider was not found. Looked into: ${misses.join("; ") || "nothing"}. ${HOW_TO_INSTALL} ${OTHERWISE}`,
  );
}

/** For errors that come after the library was found: driver, toolkit, device. */
export const DEVICE_HINT: string =
  "the CUDA backend needs an NVIDIA GPU, its driver (`nvidia-smi` must list the GPU), and the CUDA libraries that this build of " +
  "ONNX Runtime is linked against (cuBLAS, cuRAND, cudart) on the loader's path, e.g. LD_LIBRARY_PATH";

const OTHERWISE = "Without an NVIDIA GPU use cpuBackend(), or cudaBackend({ provider: 'webgpu' }) to run the same graph through WebGPU.";

const HOW_TO_INSTALL =
  "Install an NVIDIA driver, then do one of these: " +
  "(1) CUDA 12: run `ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js`, which puts the provider " +
  "beside onnxruntime-node's library; " +
  "(2) CUDA 13: run `pip install onnxruntime-gpu==1.30.0` and name its folder site-packages/onnxruntime/capi in the option " +
  `libraryPath or in the environment variable ${LIBRARY_VARIABLE}.`;

interface LibraryNames {
  readonly runtime: RegExp;
  readonly providers: readonly string[];
}

const NAMES: Readonly<Record<string, LibraryNames>> = {
  "linux-x64": {
    runtime: /^libonnxruntime\.so(\.\d+)*$/,
    providers: ["libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"],
  },
  "win32-x64": { runtime: /^onnxruntime\.dll$/, providers: ["onnxruntime_providers_cuda.dll", "onnxruntime_providers_shared.dll"] },
};

function lookInto(folder: string, { runtime, providers }: LibraryNames): { readonly path?: string; readonly why?: string } {
  if (!existsSync(folder)) return { why: "no such folder" };
  const files = readdirSync(folder);
  const missing = providers.filter((name) => !files.includes(name));
  if (missing.length > 0) return { why: `no ${missing.join(", no ")}` };
  // Of libonnxruntime.so, .so.1 and .so.1.30.0 any will do.
  const library = files.filter((name) => runtime.test(name)).sort()[0];
  return library === undefined ? { why: "no ONNX Runtime beside the provider" } : { path: join(folder, library) };
}

function asFolder(path: string): string {
  return existsSync(path) && statSync(path).isFile() ? dirname(path) : path;
}

/** The npm package, an active Python environment, where people unpack releases. */
function knownFolders(environment: Readonly<Record<string, string | undefined>>): string[] {
  const prefixes = ["VIRTUAL_ENV", "CONDA_PREFIX"].map((name) => environment[name]).filter((path) => path !== undefined && path !== "");
  return [npmFolder(), ...prefixes.flatMap((prefix) => pythonFolders(prefix!)), "/usr/local/lib", "/opt/onnxruntime/lib"].filter(
    (folder) => folder !== undefined,
  );
}

function npmFolder(): string | undefined {
  try {
    return dirname(locateLibrary());
  } catch {
    return undefined;
  }
}

function pythonFolders(prefix: string): string[] {
  const lib = join(prefix, "lib");
  if (!existsSync(lib)) return [];
  const versions = readdirSync(lib).filter((name) => name.startsWith("python3"));
  return versions.map((version) => join(lib, version, "site-packages", "onnxruntime", "capi"));
}

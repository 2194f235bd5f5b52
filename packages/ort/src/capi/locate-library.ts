/**
 * Where onnxruntime-node's package keeps ONNX Runtime's shared library for this platform.
 * In: process.platform and arch. Out: a path that exists, or one error that says what is supported.
 * The package's install script (which downloads CUDA libraries) need not have run.
 */
import { BackendUnavailableError } from "@weir/core";
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Shipped builds and what the library is called in each. */
const SHIPPED: Readonly<Record<string, string>> = {
  "linux-x64": "libonnxruntime.so.1",
  "linux-arm64": "libonnxruntime.so.1",
  "darwin-arm64": "libonnxruntime.1.dylib",
  "win32-x64": "onnxruntime.dll",
  "win32-arm64": "onnxruntime.dll",
};

/** @throws BackendUnavailableError where onnxruntime-node ships nothing for the platform, or is not installed */
export function locateLibrary(platform: string = process.platform, arch: string = process.arch): string {
  const file = SHIPPED[`${platform}-${arch}`];
  if (file === undefined) {
    throw new BackendUnavailableError(
      `onnxruntime-node has no ONNX Runtime for ${platform}-${arch}; supported: ${Object.keys(SHIPPED).join(", ")}`,
    );
  }
  const bin = join(packageFolder(), "bin");
  const napi = existsSync(bin) ? readdirSync(bin).find((name) => name.startsWith("napi-v")) : undefined;
  const path = join(bin, napi ?? "napi", platform, arch, file);
  if (!existsSync(path)) {
    throw new BackendUnavailableError(
      `onnxruntime-node is installed without ${file} for ${platform}-${arch}; reinstall onnxruntime-node 1.30.0`,
    );
  }
  return path;
}

function packageFolder(): string {
  try {
    return dirname(createRequire(import.meta.url).resolve("onnxruntime-node/package.json"));
  } catch (cause) {
    throw new BackendUnavailableError("the package onnxruntime-node is not installed; install onnxruntime-node 1.30.0", { cause });
  }
}

/** Finds and compiles the kernels that `build-kernels.mjs` left in the package's wasm folder. */
import { readFile } from "node:fs/promises";
import { BackendUnavailableError } from "@weir/core";
import type { CacheDtype } from "./block-layout.js";
import { wasm, type WasmModule } from "./webassembly.js";

/** @throws BackendUnavailableError where the file is missing or the JavaScript engine refuses it */
export async function loadKernel(dtype: CacheDtype): Promise<WasmModule> {
  const bytes = await readKernel(`attention-${dtype}.wasm`);
  if (wasm.validate(bytes)) return wasm.compile(bytes);
  throw new BackendUnavailableError("attention: this JavaScript engine lacks WebAssembly SIMD or threads; use Node 20.19 or later");
}

async function readKernel(name: string): Promise<Uint8Array<ArrayBuffer>> {
  // src/attention and dist/attention are equally deep in the package.
  const url = new URL(`../../wasm/${name}`, import.meta.url);
  try {
    return new Uint8Array(await readFile(url));
  } catch (cause) {
    throw new BackendUnavailableError(`attention: ${name} is missing from the package; in the repository run 'pnpm build'`, { cause });
  }
}

/** The part of the WebAssembly JavaScript API in use here, which TypeScript declares only in its DOM library. */

export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}

/** Opaque; may be posted to workers. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: "WebAssembly.Module";
}

export interface WasmApi {
  readonly Memory: new (descriptor: { readonly initial: number; readonly maximum: number; readonly shared: boolean }) => WasmMemory;
  readonly Instance: new (module: WasmModule, imports: { readonly env: { readonly memory: WasmMemory } }) => { readonly exports: object };
  validate(bytes: Uint8Array<ArrayBuffer>): boolean;
  compile(bytes: Uint8Array<ArrayBuffer>): Promise<WasmModule>;
}

/** What every JavaScript engine calls `WebAssembly`. */
export const wasm: WasmApi = (globalThis as unknown as { readonly WebAssembly: WasmApi }).WebAssembly;

/** The kernel's exports: takes part in the current job of the layer whose descriptor is at `layer`. */
export interface KernelExports {
  work(layer: number, thread: number): void;
}

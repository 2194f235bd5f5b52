/**
 * WeightSource: named tensors with dtype, shape and byte range over safetensors, random weights, ...
 * Backends read it by position into buffers of their own; nothing here maps memory.
 */

/** Element types as safetensors spells them. */
export type TensorDtype = "F64" | "F32" | "F16" | "BF16" | "I64" | "I32" | "I16" | "I8" | "U8" | "BOOL";

export interface TensorInfo {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  /** Bytes of the whole tensor. */
  readonly byteLength: number;
  /** Where the bytes lie in a plain file, when they do; lets a runtime map them instead of copying. */
  readonly file?: { readonly path: string; readonly byteOffset: number };
}

/** How another thread opens the same weights: `(await import(module)).openWeights(options)`. Structured-cloneable. */
export interface WeightLocator {
  /** URL of an ES module that exports `openWeights(options): Promise<WeightSource>`. */
  readonly module: string;
  readonly options: unknown;
}

export interface WeightSource {
  /** Changes whenever any weight changes; keys caches (for files: sizes, times and header hashes). */
  readonly identity: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Present when a worker may open the same weights itself. */
  readonly locator?: WeightLocator;
  /**
   * Fills `into` with the tensor's bytes from `byteOffset` on, in the stored dtype, little endian.
   * @throws ModelLoadError when the tensor is missing, the range is outside it, or reading fails
   */
  read(name: string, byteOffset: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/**
 * Quantizer: turns one dense layer's f32 weight into a stored form and back.
 * Injected; `packages/quant` has the implementations. Pure: no files, no backend.
 */

/** What backends can run today; further schemes arrive with `packages/quant`. `f16` is a rounding and has no quantizer. */
export type WeightScheme = "f32" | "f16" | "int8" | "int4-g32" | "int4-g64" | "int4-g128";

/** A dense weight on its way into a quantizer. */
export interface DenseLinear {
  readonly name: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** [outFeatures, inFeatures] f32, row-major */
  readonly weight: Float32Array;
}

/**
 * One quantized dense layer. A union over `kind`:
 * - `dense`: f32 [out, in].
 * - `int8-channel`: symmetric, one scale per output channel; `data` i8 [out, in]; w = data * scale[out].
 * - `int4-group`: groups of `groupSize` along `in`; `data` u8 [out, groups, groupSize/2], low nibble first;
 *   w = (nibble - zero) * scale; `zeroPoints` u8 packed [out, ceil(groups/2)] or absent, then zero = 8.
 */
export type QuantizedLinear =
  | { readonly kind: "dense"; readonly outFeatures: number; readonly inFeatures: number; readonly data: Float32Array }
  | {
      readonly kind: "int8-channel";
      readonly outFeatures: number;
      readonly inFeatures: number;
      readonly data: Int8Array;
      /** [outFeatures] */
      readonly scales: Float32Array;
    }
  | {
      readonly kind: "int4-group";
      readonly outFeatures: number;
      readonly inFeatures: number;
      readonly groupSize: 32 | 64 | 128;
      /** [outFeatures, groups, groupSize / 2], groups = ceil(inFeatures / groupSize) */
      readonly data: Uint8Array;
      /** [outFeatures, groups] */
      readonly scales: Float32Array;
      readonly zeroPoints?: Uint8Array;
    };

/** Per-input-channel activation statistics from calibration; absent for round-to-nearest. */
export interface ActivationStats {
  /** [inFeatures] largest |x| seen */
  readonly absMax: Float32Array;
}

export interface Quantizer {
  /** Also keys the weight cache together with `version`. */
  readonly scheme: WeightScheme;
  /** Name of the algorithm, e.g. "rtn". Keys the weight cache. */
  readonly algorithm: string;
  /** Raise when the output for the same input changes. Keys the weight cache. */
  readonly version: number;
  /**
   * URL of an ES module exporting `createQuantizer(options): Quantizer`, so that a backend may run it in its worker.
   * Without it `quantize` is called on the caller's thread, one linear at a time.
   */
  readonly module?: { readonly url: string; readonly options: unknown };
  /** Does not keep or change `linear.weight`. */
  quantize(linear: DenseLinear, stats?: ActivationStats): QuantizedLinear;
  /** [outFeatures, inFeatures] f32 */
  dequantize(linear: QuantizedLinear): Float32Array;
}

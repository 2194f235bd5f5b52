/**
 * Scheme `int8`: one scale per output channel, symmetric, round to nearest.
 * In: an f32 weight. Out: i8 [outFeatures, inFeatures] in the weight's own order and f32 scales [outFeatures];
 * w = data * scale. The backend pairs it with 8-bit activations (W8A8).
 */
import { InvalidOptionsError, type DenseLinear, type QuantizedLinear, type Quantizer } from "@weir/core";
import { checkShape, nonFinite } from "./check-linear.js";
import { dequantizeLinear } from "./dequantize-linear.js";
import { quantizerModule } from "./module-locator.js";

export interface Int8QuantizerOptions {
  /**
   * 8 (default): -127 to 127. 7: -64 to 64, for CPUs whose u8 x s8 product adds two neighbours in 16 bits with
   * saturation (x86 without VNNI): 2 * 255 * 64 still fits.
   */
  readonly bits?: 7 | 8;
}

/**
 * @example new Int8Quantizer().quantize({ name: "q_proj", outFeatures: 1, inFeatures: 2, weight: Float32Array.of(1, -0.5) })
 * @throws InvalidOptionsError when bits is neither 7 nor 8
 */
export class Int8Quantizer implements Quantizer {
  readonly scheme = "int8";
  readonly algorithm: string;
  readonly version = 1;
  readonly module?: NonNullable<Quantizer["module"]>;
  /** Codes go from -levels to levels. */
  readonly #levels: number;

  constructor({ bits = 8 }: Int8QuantizerOptions = {}) {
    if (bits !== 7 && bits !== 8) throw new InvalidOptionsError(`Int8Quantizer: bits is ${String(bits)}; it takes 7 or 8`);
    this.#levels = bits === 8 ? 127 : 64;
    this.algorithm = bits === 8 ? "rtn" : "rtn-7-bit";
    if (new.target === Int8Quantizer) this.module = quantizerModule({ scheme: "int8", bits });
  }

  /** @throws ModelLoadError when a weight is NaN or infinite, or the shape is wrong */
  quantize(linear: DenseLinear): QuantizedLinear {
    checkShape(linear);
    const { outFeatures, inFeatures } = linear;
    const data = new Int8Array(outFeatures * inFeatures);
    const scales = new Float32Array(outFeatures);
    for (let row = 0; row < outFeatures; row++) {
      const start = row * inFeatures;
      const scale = channelScale(rowAbsMax(linear, start, start + inFeatures), this.#levels);
      scales[row] = scale;
      if (scale > 0) roundRow(linear.weight, data, start, start + inFeatures, 1 / scale);
    }
    return { kind: "int8-channel", outFeatures, inFeatures, data, scales };
  }

  dequantize(linear: QuantizedLinear): Float32Array {
    return dequantizeLinear(linear);
  }
}

/** Smallest normal f32. Kernels flush what is below to zero, and a scale there would have no precision. */
const MIN_SCALE = 2 ** -126;

/** 0 for a channel that is all zero, or so small that its scale would be subnormal. */
function channelScale(absMax: number, levels: number): number {
  const scale = Math.fround(absMax / levels);
  if (scale < MIN_SCALE) return 0;
  // Rounded up, the largest float's scale would give infinity back.
  return Math.fround(scale * levels) === Infinity ? Math.fround(scale * (1 - 2 ** -23)) : scale;
}

function rowAbsMax(linear: DenseLinear, start: number, end: number): number {
  const { weight } = linear;
  let absMax = 0;
  for (let i = start; i < end; i++) {
    const magnitude = Math.abs(weight[i]!);
    // NaN too fails the comparison and gets here.
    if (!(magnitude <= absMax)) {
      if (!(magnitude < Infinity)) throw nonFinite(linear, i);
      absMax = magnitude;
    }
  }
  return absMax;
}

function roundRow(weight: Float32Array, data: Int8Array, start: number, end: number, inverse: number): void {
  // Truncation rounds once the value is positive: several times faster than Math.round.
  for (let i = start; i < end; i++) data[i] = ((weight[i]! * inverse + 128.5) | 0) - 128;
}

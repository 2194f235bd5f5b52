/** f32 to the bits of f16, rounding to nearest even. In: values. Out: a new Uint16Array. Used for weights and constants. */

/** Values beyond f16's range become infinities, as in IEEE 754; `fitsF16` tells before. */
export function toF16(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(new ArrayBuffer(values.length * 2));
  for (let i = 0; i < bits.length; i++) out[i] = half(bits[i]!);
  return out;
}

/** Whether every finite value stays finite in f16. */
export function fitsF16(values: Float32Array): boolean {
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]!);
    // 65520 is the middle between 65504 and what would be the next value: it rounds up, to infinity.
    if (size >= 65520 && size !== Infinity) return false;
  }
  return true;
}

function half(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const rest = bits & 0x7fffffff;
  // Infinity and NaN; a NaN keeps a bit of its mantissa.
  if (rest >= 0x7f800000) return sign | (rest > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (rest >= 0x477ff000) return sign | 0x7c00;
  // Normal: drop 13 bits of the mantissa, rounding to even, and move the exponent from bias 127 to bias 15.
  if (rest >= 0x38800000) return sign | ((rest - 0x38000000 + 0xfff + ((rest >>> 13) & 1)) >>> 13);
  if (rest < 0x33000000) return sign;
  // Subnormal: the mantissa with its hidden bit, in units of 2^-24.
  const shift = 126 - (rest >>> 23);
  const mantissa = (rest & 0x7fffff) | 0x800000;
  const halfway = 1 << (shift - 1);
  const kept = mantissa >>> shift;
  const dropped = mantissa & ((1 << shift) - 1);
  return sign | (kept + (dropped > halfway || (dropped === halfway && (kept & 1) === 1) ? 1 : 0));
}

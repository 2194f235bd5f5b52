/**
 * The arithmetic of the reference backend: matrix products, norms, activations, softmax over plain f32 arrays.
 * Sums are kept in f64 and rounded to f32 when stored; each row depends on nothing but its own input.
 */

/**
 * out[t, o] = sum_i x[t, i] * weight[o, i] + bias[o]
 * @param x [rows, inFeatures] f32
 * @param weight [outFeatures, inFeatures] f32
 * @param out [rows, outFeatures] f32
 */
export function linear(x: Float32Array, rows: number, weight: Float32Array, bias: Float32Array | undefined, out: Float32Array): void {
  const inFeatures = x.length / rows;
  const outFeatures = weight.length / inFeatures;
  for (let o = 0; o < outFeatures; o++) {
    const offset = bias ? bias[o]! : 0;
    for (let row = 0; row < rows; row++) {
      out[row * outFeatures + o] = offset + dot(x, row * inFeatures, weight, o * inFeatures, inFeatures);
    }
  }
}

/** sum of a[aStart + i] * b[bStart + i]; four partial sums, so that the additions need not wait for each other. */
export function dot(a: Float32Array, aStart: number, b: Float32Array, bStart: number, length: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  const whole = length & ~3;
  let i = 0;
  for (; i < whole; i += 4) {
    s0 += a[aStart + i]! * b[bStart + i]!;
    s1 += a[aStart + i + 1]! * b[bStart + i + 1]!;
    s2 += a[aStart + i + 2]! * b[bStart + i + 2]!;
    s3 += a[aStart + i + 3]! * b[bStart + i + 3]!;
  }
  for (; i < length; i++) s0 += a[aStart + i]! * b[bStart + i]!;
  return s0 + s1 + (s2 + s3);
}

export interface NormWeights {
  readonly kind: "rms" | "layer";
  readonly epsilon: number;
  /** [size], with Gemma's 1 already added */
  readonly weight: Float32Array;
  readonly bias: Float32Array | undefined;
}

/** Normalizes each consecutive run of weight.length elements; `out` may be `x`. */
export function normalize(x: Float32Array, norm: NormWeights, out: Float32Array): void {
  const size = norm.weight.length;
  for (let start = 0; start < x.length; start += size) {
    let mean = 0;
    if (norm.kind === "layer") {
      for (let i = 0; i < size; i++) mean += x[start + i]!;
      mean /= size;
    }
    let squares = 0;
    for (let i = 0; i < size; i++) squares += (x[start + i]! - mean) ** 2;
    const scale = 1 / Math.sqrt(squares / size + norm.epsilon);
    for (let i = 0; i < size; i++) {
      out[start + i] = (x[start + i]! - mean) * scale * norm.weight[i]! + (norm.bias ? norm.bias[i]! : 0);
    }
  }
}

export const ACTIVATIONS: Readonly<Record<"silu" | "gelu" | "gelu-tanh" | "relu", (x: number) => number>> = {
  silu: (x) => x / (1 + Math.exp(-x)),
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
  "gelu-tanh": (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  relu: (x) => Math.max(0, x),
};

/** cap * tanh(x / cap); 0 = no cap */
export function softcap(x: number, cap: number): number {
  return cap === 0 ? x : cap * Math.tanh(x / cap);
}

/** Series below 3, continued fraction above; better than 1e-12 (Abramowitz and Stegun 7.1.6, 7.1.14). */
function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  let value: number;
  if (z < 3) {
    let term = z;
    value = z;
    for (let n = 1; n < 80; n++) value += term *= (2 * z * z) / (2 * n + 1);
    value *= (2 / Math.sqrt(Math.PI)) * Math.exp(-z * z);
  } else {
    let fraction = 0;
    for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction);
    value = 1 - Math.exp(-z * z) / ((z + fraction) * Math.sqrt(Math.PI));
  }
  return Math.sign(x) * value;
}

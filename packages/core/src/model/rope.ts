/**
 * Rotary tables: cos and sin per position, computed with Hugging Face's roundings (f32 frequencies, f32 angles)
 * so that every backend rotates alike. Backends call `ropeTables` once per distinct RopeSpec.
 */
import type { RopeScalingSpec, RopeSpec } from "../contracts/index.js";

export interface RopeTables {
  /** [maxPositions, rotaryDim / 2] f32 */
  readonly cos: Float32Array;
  /** [maxPositions, rotaryDim / 2] f32 */
  readonly sin: Float32Array;
}

/**
 * Tables for positions [0, maxPositions); 4 * rotaryDim bytes per position.
 *
 * `dynamic` scaling: up to the original length the tables are plain. Beyond it the row of position p has the
 * base that Hugging Face uses when it decodes token p with a cache (sequence length p + 1). So a position's
 * rotation depends on nothing else, neither on chunks nor on the batch, and cached keys stay valid; a single
 * prefill longer than the original length differs from Hugging Face's, which then stretches all positions alike.
 */
export function ropeTables(rope: RopeSpec, maxPositions: number): RopeTables {
  const half = rope.rotaryDim / 2;
  const cos = new Float32Array(maxPositions * half);
  const sin = new Float32Array(maxPositions * half);
  const { scaling } = rope;
  const plainUntil = scaling?.type === "dynamic" ? scaling.originalMaxPositions : maxPositions;
  const factor = scaling?.type === "yarn" ? scaling.attentionFactor : 1;
  let frequencies = inverseFrequencies(rope);
  for (let position = 0; position < maxPositions; position++) {
    if (position >= plainUntil) frequencies = dynamicFrequencies(rope, position + 1);
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(position * frequencies[i]!);
      cos[position * half + i] = Math.fround(Math.cos(angle)) * factor;
      sin[position * half + i] = Math.fround(Math.sin(angle)) * factor;
    }
  }
  return { cos, sin };
}

/** [rotaryDim / 2] f32 radians per position. */
function inverseFrequencies(rope: RopeSpec): Float32Array {
  const plain = plainFrequencies(rope.theta, rope.rotaryDim);
  switch (rope.scaling?.type) {
    case "linear":
      return plain.map((frequency) => frequency / (rope.scaling as { factor: number }).factor);
    case "llama3":
      return llama3Frequencies(plain, rope.scaling);
    case "yarn":
      return yarnFrequencies(plain, rope, rope.scaling);
    default:
      return plain;
  }
}

function plainFrequencies(theta: number, rotaryDim: number): Float32Array {
  return Float32Array.from({ length: rotaryDim / 2 }, (_, i) => 1 / Math.fround(theta ** Math.fround((2 * i) / rotaryDim)));
}

/** NTK-aware base for a sequence of `length` tokens, longer than the original context. */
function dynamicFrequencies(rope: RopeSpec, length: number): Float32Array {
  const { factor, originalMaxPositions } = rope.scaling as Extract<RopeScalingSpec, { type: "dynamic" }>;
  const stretch = (factor * length) / originalMaxPositions - (factor - 1);
  return plainFrequencies(rope.theta * stretch ** (rope.rotaryDim / (rope.rotaryDim - 2)), rope.rotaryDim);
}

/** Long wavelengths divided by the factor, short ones kept, a ramp between (Llama 3.1). */
function llama3Frequencies(plain: Float32Array, scaling: Extract<RopeScalingSpec, { type: "llama3" }>): Float32Array {
  const { factor, lowFreqFactor, highFreqFactor, originalMaxPositions } = scaling;
  return plain.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < originalMaxPositions / highFreqFactor) return frequency;
    if (wavelength > originalMaxPositions / lowFreqFactor) return frequency / factor;
    const smooth = (originalMaxPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** YaRN's "NTK by parts" (arXiv 2309.00071, section 3.2). */
function yarnFrequencies(
  plain: Float32Array,
  { theta, rotaryDim }: RopeSpec,
  scaling: Extract<RopeScalingSpec, { type: "yarn" }>,
): Float32Array {
  const { factor, originalMaxPositions, betaFast, betaSlow, truncate } = scaling;
  // The dimension whose wavelength makes `rotations` turns over the original context.
  const dimension = (rotations: number): number =>
    (rotaryDim * Math.log(originalMaxPositions / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(truncate ? Math.floor(dimension(betaFast)) : dimension(betaFast), 0);
  let high = Math.min(truncate ? Math.ceil(dimension(betaSlow)) : dimension(betaSlow), rotaryDim - 1);
  if (high === low) high += 0.001;
  return plain.map((frequency, i) => {
    const interpolated = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (frequency / factor) * interpolated + frequency * (1 - interpolated);
  });
}

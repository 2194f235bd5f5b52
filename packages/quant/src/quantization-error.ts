/** What quantizing cost, as numbers for reports and tests. */

export interface QuantizationError {
  /** Norm of the difference over the norm of the original; 0 when both are zero. */
  readonly relativeError: number;
  /** 20 log10(1 / relativeError); Infinity when nothing was lost. */
  readonly snrDb: number;
  readonly maxAbsError: number;
}

/**
 * Compares a weight with what came back.
 * @param original [n] f32
 * @param restored [n] f32, same order
 */
export function quantizationError(original: Float32Array, restored: Float32Array): QuantizationError {
  let signal = 0;
  let noise = 0;
  let maxAbsError = 0;
  for (let i = 0; i < original.length; i++) {
    const difference = restored[i]! - original[i]!;
    signal += original[i]! * original[i]!;
    noise += difference * difference;
    maxAbsError = Math.max(maxAbsError, Math.abs(difference));
  }
  const relativeError = noise === 0 ? 0 : Math.sqrt(noise / signal);
  return { relativeError, snrDb: -20 * Math.log10(relativeError), maxAbsError };
}

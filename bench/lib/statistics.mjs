/** Small statistics over repetitions. In: numbers. Out: numbers. Used by every bench file here. */

/** @param {readonly number[]} values  NaN when there is none */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return sorted.length === 0 ? NaN : (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
}

/** @param {readonly number[]} values @param {number} share  nearest rank, 0 to 1 */
export function percentile(values, share) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted.length === 0 ? NaN : sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** @param {readonly number[]} values */
export function summaryOf(values) {
  return { median: round(median(values)), min: round(Math.min(...values)), max: round(Math.max(...values)) };
}

/** @param {number} value @param {number} [digits]  after the point */
export function round(value, digits = 2) {
  return Number(value.toFixed(digits));
}

/**
 * From the times at which tokens arrived to the figures of the result line. In: per stream, the arrival time of each
 * token; out: rates and percentiles. Called by `llama-cpp.mjs`; knows nothing of the engine. The definitions are those
 * of `weir bench throughput`, so that the two lines compare.
 */

/**
 * T1 = arrival of the last first token. Prefill rate = prompt tokens / (T1 - start). Decode rate = tokens that arrived
 * after T1 / (end - T1): streams that decode before T1 do so at the cost of the prefill rate and are not counted twice.
 * @param {number[][]} arrivals  ms, one array per stream, ascending
 * @param {number} start         ms, when all requests were handed over
 * @param {number} promptTokens  per stream
 */
export function throughputOf(arrivals, start, promptTokens) {
  const lastFirst = Math.max(...arrivals.map((times) => times[0]));
  const end = Math.max(...arrivals.map((times) => times[times.length - 1]));
  const numDecoded = arrivals.flat().filter((time) => time > lastFirst).length;
  return {
    prefill_tokens_per_s: round((arrivals.length * promptTokens * 1000) / (lastFirst - start)),
    decode_tokens_per_s: end > lastFirst ? round((numDecoded * 1000) / (end - lastFirst)) : 0,
    ttft_ms: percentilesOf(arrivals.map((times) => times[0] - start)),
    itl_ms: percentilesOf(arrivals.flatMap((times) => times.slice(1).map((time, i) => time - times[i]))),
  };
}

/** @param {number[]} values  nearest-rank percentiles; 0 where there is no value */
function percentilesOf(values) {
  const sorted = values.toSorted((a, b) => a - b);
  /** @param {number} p */
  const rank = (p) => round(sorted[Math.max(0, Math.ceil(p * sorted.length) - 1)] ?? 0);
  return { p50: rank(0.5), p99: rank(0.99) };
}

/** @param {number} value  two decimals are more than the noise of any run */
export function round(value) {
  return Math.round(value * 100) / 100;
}

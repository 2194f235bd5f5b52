/** What the sampling folder gives to runners, the engine and `@weir/core`'s public API. */
export { CounterRandom } from "./counter-random.js";
export { DefaultSampler, GREEDY_BELOW } from "./default-sampler.js";
export { sampleRows } from "./sample-rows.js";

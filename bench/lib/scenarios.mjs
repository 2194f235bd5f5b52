/**
 * What `throughput.mjs` measures and what is asked of it. Data only.
 * `importance` says in how many rounds a series runs: main = all; minor = 2; side = `--side-repetitions`.
 */

/** @typedef {import("./engines.mjs").Series} Series */
/** @typedef {"main" | "minor" | "side"} Importance */
/**
 * @typedef {object} Target  times the peer
 * @property {number} least
 * @property {number} [aim]
 * @property {string} [quantize]  asked of this weight scheme only
 */
/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {import("./engines.mjs").Load} load
 * @property {readonly { series: Series, importance: Importance }[]} runs
 * @property {{ decode?: Target, prefill?: Target }} targets
 */

const INT8 = weir("int8", "int8");
const INT4 = weir("int4-g128", "int8");
const INT8_F32_KV = weir("int8", "f32");
/** @type {Series} */
const LOCKSTEP = { engine: "peer", pace: "lockstep" };
/** @type {Series} */
const FREE = { engine: "peer", pace: "free" };

const PREFILL = { least: 3, aim: 5 };

/** @type {readonly Scenario[]} */
export const SCENARIOS = [
  // One stream has one pace.
  scenario("llama-1", load("llama-1.1b", 1), [main(INT4), main(LOCKSTEP), main(INT8)], {
    decode: { least: 1, quantize: "int4-g128" },
    prefill: { ...PREFILL, quantize: "int8" },
  }),
  scenario("llama-8", load("llama-1.1b", 8), [main(INT8), main(LOCKSTEP), side(INT4), side(FREE)], { prefill: PREFILL }),
  scenario("llama-16", load("llama-1.1b", 16), [main(INT8), main(LOCKSTEP), side(INT8_F32_KV), side(INT4), side(FREE)], {
    decode: { least: 4, aim: 6 },
    prefill: PREFILL,
  }),
  scenario("llama-32", load("llama-1.1b", 32), [main(INT8), main(LOCKSTEP), side(INT4), side(FREE)], {
    decode: { least: 5 },
    prefill: PREFILL,
  }),
  scenario("llama-8x900", load("llama-1.1b", 8, 900), [main(INT8), main(LOCKSTEP), side(INT8_F32_KV), side(FREE)], {
    decode: { least: 2.5, aim: 4 },
    prefill: { least: 3 },
  }),
  scenario("qwen-16", load("qwen2.5-0.5b", 16), [main(INT8), main(LOCKSTEP), side(FREE)], { decode: { least: 2.5 } }),
  scenario("qwen-1", load("qwen2.5-0.5b", 1), [minor(INT8), minor(LOCKSTEP), side(INT4)], {}),
  scenario("qwen-8", load("qwen2.5-0.5b", 8), [minor(INT8), minor(LOCKSTEP)], {}),
  scenario("qwen-32", load("qwen2.5-0.5b", 32), [minor(INT8), minor(LOCKSTEP)], {}),
];

/** @param {string} quantize @param {string} kvDtype @returns {Series} */
function weir(quantize, kvDtype) {
  return { engine: "weir", quantize, kvDtype };
}

/** @param {string} model @param {number} streams @param {number} [promptTokens] */
function load(model, streams, promptTokens = 128) {
  return { model, streams, promptTokens, maxTokens: 64 };
}

/**
 * @param {string} id @param {Scenario["load"]} what @param {Scenario["runs"]} runs @param {Scenario["targets"]} targets
 * @returns {Scenario}
 */
function scenario(id, what, runs, targets) {
  return { id, load: what, runs, targets };
}

/** @param {Series} series @returns {Scenario["runs"][number]} */
function main(series) {
  return { series, importance: "main" };
}

/** @param {Series} series @returns {Scenario["runs"][number]} */
function minor(series) {
  return { series, importance: "minor" };
}

/** @param {Series} series @returns {Scenario["runs"][number]} */
function side(series) {
  return { series, importance: "side" };
}

/**
 * Reads the rotary settings of a config in both layouts found in the wild: transformers 4 (`rope_theta`,
 * `rope_scaling`) and transformers 5 (`rope_parameters`). Out: a RopeSpec and how many positions it reaches.
 * Called by the architecture files.
 */
import type { RopeScalingSpec, RopeSpec } from "../contracts/index.js";
import type { ConfigReader } from "./config-reader.js";

export interface RopeConfig {
  readonly rope: RopeSpec;
  /** `max_position_embeddings`, stretched by the kinds of scaling whose configs keep the unstretched value there. */
  readonly maxPositions: number;
}

/** More positions than any model today; keeps tables and plans finite. */
const MAX_POSITIONS = 2 ** 24;
const POSITIONS = { min: 1, max: MAX_POSITIONS } as const;
const FACTOR = { min: 1, max: 1e6 } as const;

/** @param defaultTheta what the architecture uses where the config is silent */
export function readRope(config: ConfigReader, headDim: number, defaultTheta: number): RopeConfig {
  const trained = config.int("max_position_embeddings", POSITIONS, 2048);
  const scaling = config.object("rope_parameters") ?? config.object("rope_scaling");
  const holder = scaling?.has("rope_theta") ? scaling : config;
  const theta = holder.number("rope_theta", { min: 1.0001, max: 1e15 }, defaultTheta);
  const partial = (scaling?.has("partial_rotary_factor") ? scaling : config).number("partial_rotary_factor", { min: 1e-6, max: 1 }, 1);
  const rotaryDim = Math.floor(headDim * partial);
  if (rotaryDim % 2 !== 0 || rotaryDim < 2) config.fail("partial_rotary_factor", `such that ${headDim} * it is even and >= 2`);
  const plain = { theta, rotaryDim };
  if (!scaling) return { rope: plain, maxPositions: trained };
  const spec = readScaling(scaling, trained);
  if (!spec) return { rope: plain, maxPositions: trained };
  if (spec.type === "dynamic" && rotaryDim < 4) scaling.fail("rope_type", "another one: dynamic needs a rotary dimension >= 4");
  return { rope: { ...plain, scaling: spec }, maxPositions: reach(spec, trained) };
}

function readScaling(scaling: ConfigReader, trained: number): RopeScalingSpec | undefined {
  // `type` is the older name of `rope_type`.
  const field = scaling.has("rope_type") || !scaling.has("type") ? "rope_type" : "type";
  const type = scaling.oneOf(field, ["default", "linear", "dynamic", "llama3", "yarn"], "default");
  if (type === "default") return undefined;
  const factor = scaling.number("factor", FACTOR);
  if (type === "linear") return { type, factor };
  const originalMaxPositions = scaling.int("original_max_position_embeddings", POSITIONS, trained);
  if (type === "dynamic") return { type, factor, originalMaxPositions };
  return type === "llama3" ? readLlama3(scaling, factor, originalMaxPositions) : readYarn(scaling, factor, originalMaxPositions);
}

function readLlama3(scaling: ConfigReader, factor: number, originalMaxPositions: number): RopeScalingSpec {
  const lowFreqFactor = scaling.number("low_freq_factor", { min: 1e-6, max: 1e6 });
  const highFreqFactor = scaling.number("high_freq_factor", { min: 1e-6, max: 1e6 });
  if (highFreqFactor <= lowFreqFactor) scaling.fail("high_freq_factor", `greater than low_freq_factor (${lowFreqFactor})`);
  return { type: "llama3", factor, lowFreqFactor, highFreqFactor, originalMaxPositions };
}

function readYarn(scaling: ConfigReader, factor: number, originalMaxPositions: number): RopeScalingSpec {
  const betaFast = scaling.number("beta_fast", { min: 1e-6, max: 1e6 }, 32);
  const betaSlow = scaling.number("beta_slow", { min: 1e-6, max: 1e6 }, 1);
  if (betaFast < betaSlow) scaling.fail("beta_fast", `at least beta_slow (${betaSlow})`);
  return {
    type: "yarn",
    factor,
    originalMaxPositions,
    betaFast,
    betaSlow,
    attentionFactor: yarnAttentionFactor(scaling, factor),
    truncate: scaling.boolean("truncate", true),
  };
}

/** YaRN section 3.4 (arXiv 2309.00071); `mscale` as DeepSeek's configs use it: both or neither. */
function yarnAttentionFactor(scaling: ConfigReader, factor: number): number {
  const temperature = (mscale: number): number => (factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1);
  if (scaling.has("attention_factor")) return scaling.number("attention_factor", { min: 1e-6, max: 1e6 });
  const limits = { min: 0, max: 1e6 };
  const mscale = scaling.number("mscale", limits, 0);
  const mscaleAllDim = scaling.number("mscale_all_dim", limits, 0);
  return mscale && mscaleAllDim ? temperature(mscale) / temperature(mscaleAllDim) : temperature(1);
}

/** As vLLM derives the context: only Llama 3 configs state the stretched length themselves. */
function reach(spec: RopeScalingSpec, trained: number): number {
  if (spec.type === "llama3") return trained;
  const original = spec.type === "linear" ? trained : spec.originalMaxPositions;
  const stretched = Math.min(MAX_POSITIONS, Math.floor(original * spec.factor));
  return spec.type === "yarn" ? Math.max(trained, stretched) : stretched;
}

/** A model description and weights for the null backend: what `createEngine` needs, with nothing to load. */
import type { LinearSpec, ModelSpec, NormSpec, WeightSource } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";

const HIDDEN = 16;

export interface NullModelOptions {
  /** Default 1,000. */
  readonly vocabSize?: number;
  /** Default 4,096. */
  readonly maxPositions?: number;
  /** Default: none, so that requests run to maxTokens. */
  readonly eosTokenIds?: readonly number[];
}

/** One small attention layer, so that sizes computed from it are not 0; its tensors do not exist. */
export function nullModelSpec(options: NullModelOptions = {}): ModelSpec {
  const vocabSize = options.vocabSize ?? 1000;
  const attention = {
    numHeads: 1,
    numKvHeads: 1,
    headDim: HIDDEN,
    vHeadDim: HIDDEN,
    q: linear("q", HIDDEN),
    k: linear("k", HIDDEN),
    v: linear("v", HIDDEN),
    o: linear("o", HIDDEN),
    scale: 1 / Math.sqrt(HIDDEN),
    causal: true,
  };
  const mlp = {
    kind: "plain",
    activation: "relu",
    up: linear("up", HIDDEN),
    down: linear("down", HIDDEN),
  } as const;
  return {
    architecture: "null",
    vocabSize,
    hiddenSize: HIDDEN,
    maxPositions: options.maxPositions ?? 4096,
    embedding: { weight: "embedding" },
    layers: [{ attentionNorm: norm("attention_norm"), attention, mlpNorm: norm("mlp_norm"), mlp }],
    finalNorm: norm("final_norm"),
    head: { linear: linear("head", vocabSize), tied: false },
    eosTokenIds: options.eosTokenIds ?? [],
  };
}

/** A WeightSource without tensors. */
export function nullWeights(): WeightSource {
  return {
    identity: "null",
    tensors: new Map(),
    read: (name) => Promise.reject(new ModelLoadError(`tensor ${name}: the null model has none`)),
    close: () => Promise.resolve(),
  };
}

function linear(weight: string, outFeatures: number): LinearSpec {
  return { weight, inFeatures: HIDDEN, outFeatures };
}

function norm(weight: string): NormSpec {
  return { kind: "rms", weight, epsilon: 1e-5 };
}

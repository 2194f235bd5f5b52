/**
 * ModelSpec: a declarative decoder. An architecture file maps config.json and tensor names to it;
 * each backend lowers it; no architecture is written twice.
 * It holds no weights and knows no backend; it is plain data and survives structured cloning.
 */

/** A dense layer y = x W^T + b. `weight` is stored [outFeatures, inFeatures] as in Hugging Face checkpoints unless `transposed`. */
export interface LinearSpec {
  /** Tensor name in the WeightSource. */
  readonly weight: string;
  /** Tensor name of the bias [outFeatures]. */
  readonly bias?: string;
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** Stored [inFeatures, outFeatures] (GPT-2's Conv1D). Default false. */
  readonly transposed?: boolean;
  /** First row of a packed weight that belongs to this linear (Phi-3's qkv_proj). Default 0. */
  readonly rowOffset?: number;
}

export interface NormSpec {
  readonly kind: "rms" | "layer";
  readonly weight: string;
  readonly bias?: string;
  readonly epsilon: number;
  /** Gemma: the stored weight is w, the factor is 1 + w. Default false. */
  readonly onePlus?: boolean;
}

/** Rotary embedding; the tables come from `ropeTables(rope, maxPositions)`. */
export interface RopeSpec {
  readonly theta: number;
  /** Rotated dimensions per head, even, <= headDim. */
  readonly rotaryDim: number;
  /** Pairs (2i, 2i+1) instead of (i, i + rotaryDim/2). Default false. */
  readonly interleaved?: boolean;
  readonly scaling?: RopeScalingSpec;
}

export type RopeScalingSpec =
  | { readonly type: "linear"; readonly factor: number }
  | { readonly type: "dynamic"; readonly factor: number; readonly originalMaxPositions: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalMaxPositions: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalMaxPositions: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** Multiplies cos and sin; already resolved (mscale, attention_factor). */
      readonly attentionFactor: number;
      readonly truncate: boolean;
    };

export interface AttentionSpec {
  readonly numHeads: number;
  readonly numKvHeads: number;
  /** Any multiple of 8 from 16 to 256. */
  readonly headDim: number;
  readonly vHeadDim: number;
  readonly q: LinearSpec;
  readonly k: LinearSpec;
  readonly v: LinearSpec;
  readonly o: LinearSpec;
  /** Scores are multiplied by this; usually 1/sqrt(headDim). */
  readonly scale: number;
  /** Absent: no rotary embedding in this layer. */
  readonly rope?: RopeSpec;
  readonly qNorm?: NormSpec;
  readonly kNorm?: NormSpec;
  /** Visible keys per query, itself included. Absent: all. */
  readonly window?: number;
  /** cap * tanh(score / cap). Absent: none. */
  readonly softcap?: number;
  /** Tensor name of per-head sink logits [numHeads]. */
  readonly sinks?: string;
  readonly causal: boolean;
}

export interface MlpSpec {
  readonly kind: "gated" | "plain";
  readonly activation: "silu" | "gelu" | "gelu-tanh" | "relu";
  /** Present when kind is gated. */
  readonly gate?: LinearSpec;
  readonly up: LinearSpec;
  readonly down: LinearSpec;
}

/** One pre-norm block: x += attention(norm(x)); x += mlp(norm(x)). */
export interface LayerSpec {
  readonly attentionNorm: NormSpec;
  readonly attention: AttentionSpec;
  readonly mlpNorm: NormSpec;
  readonly mlp: MlpSpec;
}

export interface EmbeddingSpec {
  /** [vocabSize, hiddenSize] */
  readonly weight: string;
  /** Multiplies the looked-up row. Default 1. */
  readonly scale?: number;
}

export interface HeadSpec {
  readonly linear: LinearSpec;
  /** The head uses the embedding's tensor. */
  readonly tied: boolean;
  readonly softcap?: number;
}

export interface ModelSpec {
  /** config.json's `model_type`. */
  readonly architecture: string;
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** Positions the model was made for; the upper limit of maxModelLen. */
  readonly maxPositions: number;
  readonly embedding: EmbeddingSpec;
  readonly layers: readonly LayerSpec[];
  readonly finalNorm: NormSpec;
  readonly head: HeadSpec;
  readonly bosTokenId?: number;
  readonly eosTokenIds: readonly number[];
}

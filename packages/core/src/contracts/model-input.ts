/**
 * ModelInput: one step as a flat varlen batch. Owned and reused by the engine; a runner only reads it
 * while `execute()` is pending. All arrays have the capacity of `ModelLimits`; the counts say what is valid.
 */

/** Sizes fixed when a model is loaded. */
export interface ModelLimits {
  /** Tokens in a sequence, prompt and output together. */
  readonly maxModelLen: number;
  /** Sequences in one step. */
  readonly maxNumSeqs: number;
  /** New tokens in one step. */
  readonly maxNumBatchedTokens: number;
  /** Tokens per KV block. */
  readonly blockSize: number;
  /** KV blocks in the pool. */
  readonly numBlocks: number;
}

/** What a row of logits is wanted for. A row asks for the least it needs. */
export const ROW_SAMPLE = 1;
/** Also the whole row of raw logits (user logits processors or samplers on the caller's thread, full logits). */
export const ROW_LOGITS = 2;

export interface ModelInput {
  numTokens: number;
  numSeqs: number;
  /** Rows of logits; <= numSeqs unless a sequence asks for several positions. */
  numRows: number;
  /** Row stride of blockTables. */
  readonly maxBlocksPerSeq: number;
  /** [numTokens] i32 */
  readonly inputIds: Int32Array;
  /** [numTokens] i32, position in its sequence */
  readonly positions: Int32Array;
  /** [numSeqs + 1] i32, prefix sum of new tokens */
  readonly cuSeqlensQ: Int32Array;
  /** [numSeqs] i32, tokens already cached; new ones not counted */
  readonly pastLens: Int32Array;
  /** [numSeqs, maxBlocksPerSeq] i32, row-major; entries past the used ones are undefined */
  readonly blockTables: Int32Array;
  /** [numTokens] i32, block * blockSize + offset; -1 = do not store */
  readonly slotMapping: Int32Array;
  /** [numRows] i32, index into the tokens */
  readonly logitsIndices: Int32Array;
  /** [numRows] u8, ROW_* */
  readonly rowWants: Uint8Array;
  readonly sampling: SamplingInput;
}

/** Sampling parameters per row of logits, struct of arrays. Applied by whoever samples, in `core/sampling`'s documented order. */
export interface SamplingInput {
  /** [numRows] f32; 0 = greedy */
  readonly temperature: Float32Array;
  /** [numRows] i32; 0 = off */
  readonly topK: Int32Array;
  /** [numRows] f32; 1 = off */
  readonly topP: Float32Array;
  /** [numRows] f32; 0 = off */
  readonly minP: Float32Array;
  /** [numRows] f32; 1 = off */
  readonly repetitionPenalty: Float32Array;
  /** [numRows] f32; 0 = off */
  readonly presencePenalty: Float32Array;
  /** [numRows] f32; 0 = off */
  readonly frequencyPenalty: Float32Array;
  /** [numRows, 2] u32: seed low, high */
  readonly seed: Uint32Array;
  /** [numRows] u32: index of the token being sampled within its request's output */
  readonly counter: Uint32Array;
  /** [numRows] i32: -1 = no logprobs, 0 = of the chosen token, n = also of the n best */
  readonly numLogprobs: Int32Array;
  /** [numRows + 1] i32 prefix sum into historyIds; empty where the row has no penalty */
  readonly cuHistory: Int32Array;
  /** [numRows] i32: how many of the row's history ids belong to the prompt */
  readonly promptLens: Int32Array;
  /** Grows; token ids so far (prompt then output) of rows with penalties */
  historyIds: Int32Array;
  /** [numRows + 1] i32 prefix sum into biasIds/biasValues */
  readonly cuBias: Int32Array;
  /** Grows; logit bias pairs; -Infinity bans a token */
  biasIds: Int32Array;
  biasValues: Float32Array;
}

/** Most alternatives whose logprobs a row may ask for. */
export const MAX_LOGPROBS = 64;

/** What a caller may ask of one request. Validated by `engine/sampling-params.ts`; limits are in the docstrings. */
import type { LogitsProcessor } from "./sampler.js";

export interface GenerateOptions {
  /** Unique among running requests, 1 to 256 characters. Default: generated. */
  readonly requestId?: string;
  /** New tokens at most, >= 1. Default: what fits into the context. */
  readonly maxTokens?: number;
  /** No stop before this many new tokens, 0 to maxTokens. Default 0. */
  readonly minTokens?: number;
  /** 0 (greedy, the default) to 100; between 0 and 1e-5 counts as 0. */
  readonly temperature?: number;
  /** Keep the k best; 0 = all (default); at most the vocabulary. */
  readonly topK?: number;
  /** Keep the smallest set with this much probability, (0, 1]. Default 1. */
  readonly topP?: number;
  /** Drop tokens less likely than minP times the best, [0, 1]. Default 0. */
  readonly minP?: number;
  /** Divides (or multiplies, if negative) logits of tokens seen in prompt or output, (0, 10]. Default 1. */
  readonly repetitionPenalty?: number;
  /** Subtracted once from logits of tokens in the output, [-2, 2]. Default 0. */
  readonly presencePenalty?: number;
  /** Subtracted per occurrence in the output, [-2, 2]. Default 0. */
  readonly frequencyPenalty?: number;
  /** Integer 0 to 2^53 - 1. Default: drawn at random when temperature > 0. */
  readonly seed?: number;
  /** Up to 16 strings of 1 to 512 characters; output ends before the first found. */
  readonly stop?: string | readonly string[];
  /** Keep the stop string in the text. Default false. */
  readonly includeStopString?: boolean;
  /** Further ids that end the output, up to 64. */
  readonly stopTokenIds?: readonly number[];
  /** Go on after the model's end token. Default false. */
  readonly ignoreEos?: boolean;
  /** 0: logprob of each token; n: also of the n best, up to 64. Default: none. */
  readonly logprobs?: number;
  /** Give the first generated position's raw logits with its token event. Default false. */
  readonly fullLogits?: boolean;
  /** Added to logits by token id; up to 1,024 entries, each -100 to 100 or -Infinity. */
  readonly logitBias?: Readonly<Record<number, number>>;
  /** Up to 64, run on the caller's thread, in order, on raw logits, after bias and before penalties. */
  readonly logitsProcessors?: readonly LogitsProcessor[];
  /** Leave special tokens out of the text. Default true. */
  readonly skipSpecialTokens?: boolean;
  /** Recognise special tokens in a string prompt. Default false. */
  readonly specialTokensInPrompt?: boolean;
  /** Add BOS and the like to a string prompt. Default true. */
  readonly addSpecialTokens?: boolean;
  /** Smaller is earlier, -2^31 to 2^31 - 1. Default 0. */
  readonly priority?: number;
  /** Milliseconds from the request's start to its end, > 0; then TimeoutError. Default: none. */
  readonly deadlineMs?: number;
  readonly signal?: AbortSignal;
  /** Events an async consumer may lag behind before its sequence pauses, 1 to 65,536. Default 256. */
  readonly bufferLimit?: number;
}

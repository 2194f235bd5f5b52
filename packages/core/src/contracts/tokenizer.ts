/** Tokenizer and ChatTemplate: text to ids and back. Pure and synchronous; a text worker may run them elsewhere. */

/** A range of a string, in UTF-16 code units: [start, end). */
export interface TextSpan {
  readonly start: number;
  readonly end: number;
}

export interface EncodeOptions {
  /** Add BOS and the like as the model's post-processor says. Default true. */
  readonly addSpecialTokens?: boolean;
  /**
   * Where special tokens are recognised in the text. Default "none" for user text; "all" trusts the text;
   * spans: recognised everywhere but inside these (message contents of a rendered template).
   */
  readonly specialTokens?: "none" | "all" | { readonly literalSpans: readonly TextSpan[] };
}

export interface Tokenizer {
  readonly vocabSize: number;
  readonly bosTokenId?: number;
  readonly eosTokenId?: number;
  encode(text: string, options?: EncodeOptions): Int32Array;
  /**
   * As encode, on another thread and within a time limit; for long or untrusted texts. Optional: see `encodeBounded`.
   * @throws TimeoutError, InvalidRequestError
   */
  encodeOffThread?(text: string, options?: EncodeOptions): Promise<Int32Array>;
  /** Lossy where the ids end inside a UTF-8 character (U+FFFD). */
  decode(ids: ArrayLike<number>, options?: { readonly skipSpecialTokens?: boolean }): string;
  isSpecial(id: number): boolean;
  tokenToId(token: string): number | undefined;
  /** A new incremental decoder, starting after the given context ids (which add no text). */
  createDetokenizer(options: { readonly skipSpecialTokens: boolean; readonly context?: ArrayLike<number> }): Detokenizer;
}

/** Ids in, text deltas out; never gives out half a character. */
export interface Detokenizer {
  /** Text that became certain with this id; may be empty. */
  push(id: number): string;
  /** What is held back, as it is (with U+FFFD where bytes are missing). */
  flush(): string;
}

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
  readonly name?: string;
  readonly [key: string]: unknown;
}

export interface RenderOptions {
  /** Default true. */
  readonly addGenerationPrompt?: boolean;
  readonly tools?: readonly unknown[];
  /** Further template variables; may not override messages, tools, add_generation_prompt. */
  readonly variables?: Readonly<Record<string, unknown>>;
}

export interface RenderedChat {
  readonly text: string;
  /** Where message content landed in `text`, ascending, not overlapping. */
  readonly contentSpans: readonly TextSpan[];
}

export interface ChatTemplate {
  /** @throws InvalidRequestError when the template refuses the messages */
  render(messages: readonly ChatMessage[], options?: RenderOptions): RenderedChat;
  /**
   * As render, on another thread and within a time limit. Optional: see `renderBounded`.
   * @throws TimeoutError, InvalidRequestError
   */
  renderOffThread?(messages: readonly ChatMessage[], options?: RenderOptions): Promise<RenderedChat>;
}

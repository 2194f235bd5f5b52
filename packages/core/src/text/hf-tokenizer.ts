/**
 * HfTokenizer: a Hugging Face tokenizer.json behind the Tokenizer contract.
 * In: parsed tokenizer.json and tokenizer_config.json. Out: ids, text, detokenizers.
 * Normalizer, pre-tokenizer, model and decoder are the library's; finding added tokens is done here, because which
 * of them count depends on where the text came from (literal spans). Called by the model folder reader.
 */
import type { Detokenizer, EncodeOptions, Tokenizer } from "../contracts/index.js";
import { InvalidRequestError, ModelLoadError } from "../errors/index.js";
import { type AddedToken, AddedTokenMatcher } from "./added-tokens.js";
import { IncrementalDetokenizer } from "./incremental-detokenizer.js";
import { createTokenDecoder, type DecodableToken, type TokenDecoder } from "./token-decoder.js";
import { checkTokenizerJson, readAddedTokens, specialTokenNames, type TokenizerConfigJson } from "./tokenizer-json.js";
import { createLibraryTokenizer, type LibraryTokenizer } from "./tokenizers-library.js";

export class HfTokenizer implements Tokenizer {
  readonly vocabSize: number;
  readonly bosTokenId?: number;
  readonly eosTokenId?: number;
  readonly #library: LibraryTokenizer;
  readonly #splitsWords: boolean;
  readonly #addedById = new Map<number, AddedToken>();
  readonly #special = new Set<number>();
  readonly #ids = new Map<string, number>();
  /** Every added token of raw text, and those without the special ones. */
  readonly #rawAll: AddedTokenMatcher;
  readonly #rawPlain: AddedTokenMatcher;
  readonly #normalizedAdded: AddedTokenMatcher;
  readonly #prefixIds: readonly number[];
  readonly #suffixIds: readonly number[];
  readonly #decodeTokens: TokenDecoder;

  readonly encodeOffThread?: NonNullable<Tokenizer["encodeOffThread"]>;

  /**
   * @param offThread encodes with the same files on another thread
   * @throws ModelLoadError when the files are damaged or of a kind that the library does not know
   */
  constructor(tokenizerJson: unknown, config: TokenizerConfigJson = {}, offThread?: Tokenizer["encodeOffThread"]) {
    const json = checkTokenizerJson(tokenizerJson);
    const added = readAddedTokens(json, config);
    this.#library = createLibraryTokenizer(json, config);
    this.#splitsWords = json.pre_tokenizer?.["type"] === "Metaspace" && json.pre_tokenizer["split"] !== false;
    for (const token of added) {
      this.#addedById.set(token.id, token);
      this.#ids.set(token.content, token.id);
      if (token.special) this.#special.add(token.id);
    }
    // Special tokens are looked for in the raw text whatever their flag says: literal spans are spans of that.
    const raw = added.filter(({ special, normalized }) => special || !normalized);
    this.#rawAll = new AddedTokenMatcher(raw);
    this.#rawPlain = new AddedTokenMatcher(raw.filter(({ special }) => !special));
    const { normalizer } = this.#library;
    this.#normalizedAdded = new AddedTokenMatcher(
      added.filter(({ special, normalized }) => !special && normalized),
      ({ content }) => (normalizer ? normalizer(content) : content),
    );
    this.vocabSize = Math.max(this.#library.model.vocab.length, ...added.map(({ id }) => id + 1));
    [this.#prefixIds, this.#suffixIds] = this.#specialsAround();
    this.#decodeTokens = createTokenDecoder(this.#library.decoder);
    const names = specialTokenNames(config);
    const bos = names["bos_token"] === undefined ? undefined : this.tokenToId(names["bos_token"]);
    const eos = names["eos_token"] === undefined ? undefined : this.tokenToId(names["eos_token"]);
    if (offThread) this.encodeOffThread = offThread;
    if (bos !== undefined) this.bosTokenId = bos;
    if (eos !== undefined) this.eosTokenId = eos;
  }

  encode(text: string, options: EncodeOptions = {}): Int32Array {
    checkCombiningMarks(text);
    try {
      return this.#encode(text, options);
    } catch (cause) {
      // Regular expressions and the library's models overflow the stack on words of a million characters.
      if (!(cause instanceof RangeError)) throw cause;
      throw new InvalidRequestError(
        `the text (${text.length} characters) has a run without a break that is too long for the tokenizer; break it up`,
        { cause },
      );
    }
  }

  decode(ids: ArrayLike<number>, options: { readonly skipSpecialTokens?: boolean } = {}): string {
    const kept = options.skipSpecialTokens ? Array.from(ids).filter((id) => !this.isSpecial(id)) : Array.from(ids);
    return this.#decodeIds(kept);
  }

  isSpecial(id: number): boolean {
    return this.#special.has(id);
  }

  tokenToId(token: string): number | undefined {
    return this.#ids.get(token) ?? this.#library.model.tokens_to_ids.get(token);
  }

  createDetokenizer(options: { readonly skipSpecialTokens: boolean; readonly context?: ArrayLike<number> }): Detokenizer {
    const skip = options.skipSpecialTokens ? (id: number) => this.isSpecial(id) : () => false;
    return new IncrementalDetokenizer((ids) => this.#decodeIds(ids), skip, options.context);
  }

  #encode(text: string, options: EncodeOptions): Int32Array {
    const { addSpecialTokens = true, specialTokens = "none" } = options;
    const literal = typeof specialTokens === "object" ? specialTokens.literalSpans : [];
    const ids: number[] = addSpecialTokens ? [...this.#prefixIds] : [];
    const matcher = specialTokens === "none" ? this.#rawPlain : this.#rawAll;
    for (const { start, end, token } of matcher.split(text, literal)) {
      if (token) ids.push(token.id);
      else this.#encodeSection(text.slice(start, end), start, ids);
    }
    if (addSpecialTokens) ids.push(...this.#suffixIds);
    return Int32Array.from(ids);
  }

  /** Text between raw added tokens. @param offset where it starts in the whole text */
  #encodeSection(text: string, offset: number, ids: number[]): void {
    const { normalizer, pre_tokenizer: preTokenizer, model } = this.#library;
    const normalized = normalizer ? normalizer(text) : text;
    for (const { start, end, token } of this.#normalizedAdded.split(normalized)) {
      if (token) {
        ids.push(token.id);
        continue;
      }
      const piece = normalized.slice(start, end);
      // Metaspace's scheme "first" means the very start of the text.
      const section = { section_index: offset === 0 && start === 0 ? 0 : 1 };
      const words = preTokenizer ? preTokenizer(piece, section) : [piece];
      for (const word of this.#splitsWords ? words.flatMap(splitMetaspace) : words) {
        for (const wordToken of model([word])) {
          const id = model.tokens_to_ids.get(wordToken) ?? model.unk_token_id;
          if (id !== undefined) ids.push(id);
        }
      }
    }
  }

  #decodeIds(ids: readonly number[]): string {
    const tokens: DecodableToken[] = [];
    for (const id of ids) {
      const added = this.#addedById.get(id);
      const content = added?.content ?? this.#library.model.vocab[id];
      // Ids past the vocabulary exist where a model pads its embedding; they have no text.
      if (content !== undefined) tokens.push({ content, added: added !== undefined });
    }
    return this.#decodeTokens(tokens);
  }

  /** Ids that the post-processor puts before and after a text, found by asking it. */
  #specialsAround(): readonly [readonly number[], readonly number[]] {
    const { post_processor: postProcessor } = this.#library;
    if (!postProcessor) return [[], []];
    const { tokens } = postProcessor([MARK], null, true);
    const at = tokens.indexOf(MARK);
    const toIds = (part: readonly string[]): readonly number[] =>
      part.map((token) => {
        const id = this.tokenToId(token);
        if (id === undefined)
          throw new ModelLoadError(`tokenizer.json: the post-processor adds ${JSON.stringify(token)}, which is no token`);
        return id;
      });
    return [toIds(tokens.slice(0, at)), toIds(tokens.slice(at + 1))];
  }
}

/** A token that no vocabulary has. */
const MARK = "\u0000weir";

/** Unicode's stream-safe form allows 30 in a row (UAX #15); normalizing takes time quadratic in such a run. */
const MAX_COMBINING_MARKS = 1024;

function checkCombiningMarks(text: string): void {
  if (text.length <= MAX_COMBINING_MARKS) return;
  let end = -1;
  // Matches are bounded, since V8's regular expressions overflow on runs of millions; two that touch are a long run.
  for (const match of text.matchAll(/\p{M}{1,1024}/gu)) {
    if (match.index === end) {
      throw new InvalidRequestError(`the text has more than ${MAX_COMBINING_MARKS} combining marks in a row; at most so many are taken`);
    }
    end = match.index + match[0].length;
  }
}

/** Metaspace with `split`: words begin at their marker. The library leaves them joined. */
function splitMetaspace(text: string): string[] {
  return text.split(/(?=\u2581)/);
}

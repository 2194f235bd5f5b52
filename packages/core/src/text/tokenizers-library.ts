/**
 * The parts of @huggingface/tokenizers that Weir uses, typed here because the package's own declarations do not
 * resolve under Node's module rules. Called by HfTokenizer.
 */
import * as library from "@huggingface/tokenizers";
import { ModelLoadError } from "../errors/index.js";

export interface LibraryTokenizer {
  readonly normalizer: ((text: string) => string) | null;
  readonly pre_tokenizer: ((text: string, options: { readonly section_index: number }) => string[]) | null;
  readonly model: LibraryModel;
  readonly post_processor: ((tokens: string[], pair: null, addSpecialTokens: boolean) => { readonly tokens: readonly string[] }) | null;
  readonly decoder: LibraryDecoder | null;
}

export interface LibraryModel {
  (words: string[]): string[];
  /** By id. */
  readonly vocab: readonly (string | undefined)[];
  readonly tokens_to_ids: ReadonlyMap<string, number>;
  readonly unk_token_id?: number;
}

export interface LibraryDecoder {
  readonly config: { readonly type: string };
  /** Of a `Sequence`. */
  decoders?: LibraryDecoder[];
  decode_chain(tokens: string[]): string[];
}

/** The library refuses a tokenizer.json that leaves one of these out. */
const EMPTY_PARTS = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };

/** @throws ModelLoadError when the library does not know a part */
export function createLibraryTokenizer(
  json: Readonly<Record<string, unknown>>,
  config: Readonly<Record<string, unknown>>,
): LibraryTokenizer {
  const { Tokenizer } = library as unknown as {
    readonly Tokenizer: new (json: object, config: object) => LibraryTokenizer;
  };
  try {
    // Added tokens are found by Weir (see HfTokenizer), so the library's model must not know them.
    return new Tokenizer({ ...EMPTY_PARTS, ...json, added_tokens: [] }, config);
  } catch (cause) {
    throw new ModelLoadError(`tokenizer.json cannot be used: ${(cause as Error).message.slice(0, 200)}`, { cause });
  }
}

/**
 * Reads the parts of tokenizer.json and tokenizer_config.json that Weir itself acts on: added and special tokens.
 * In: parsed JSON. Out: checked values. Called by HfTokenizer.
 */
import { ModelLoadError } from "../errors/index.js";
import type { AddedToken } from "./added-tokens.js";

/** `tokenizer.json`, as far as it is looked at here; the rest goes to the tokenizers library. */
export interface TokenizerJson {
  readonly model: Readonly<Record<string, unknown>>;
  readonly pre_tokenizer?: Readonly<Record<string, unknown>> | null;
  readonly added_tokens?: readonly unknown[];
  readonly [field: string]: unknown;
}

export type TokenizerConfigJson = Readonly<Record<string, unknown>>;

/** More than any tokenizer today (the largest have 260,000 ids). */
const MAX_TOKEN_ID = 2 ** 24;

/** @throws ModelLoadError */
export function checkTokenizerJson(json: unknown): TokenizerJson {
  const value = json as TokenizerJson | null;
  if (typeof value !== "object" || value === null || typeof value.model !== "object" || value.model === null) {
    throw new ModelLoadError("tokenizer.json has no object model");
  }
  return value;
}

/**
 * The added tokens; `special` also where tokenizer_config.json names them as bos, eos and the like.
 * @throws ModelLoadError for an empty content, a bad id, or two ids for one content
 */
export function readAddedTokens(json: TokenizerJson, config: TokenizerConfigJson): readonly AddedToken[] {
  const named = new Set(Object.values(specialTokenNames(config)));
  const additional = config["additional_special_tokens"];
  if (Array.isArray(additional)) additional.map(contentOf).forEach((content) => content !== undefined && named.add(content));
  const ids = new Map<string, number>();
  return (json.added_tokens ?? []).map((entry) => {
    const fields = entry as Readonly<Record<string, unknown>> | null;
    const content = contentOf(fields);
    const id = fields?.["id"];
    if (!content)
      throw new ModelLoadError(
        `tokenizer.json: an added token has the content ${JSON.stringify(content) ?? "undefined"}; it must not be empty`,
      );
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) > MAX_TOKEN_ID) {
      throw new ModelLoadError(
        `tokenizer.json: added token ${JSON.stringify(content)} has id ${String(id)}; it must be from 0 to ${MAX_TOKEN_ID}`,
      );
    }
    if ((ids.get(content) ?? id) !== id) throw new ModelLoadError(`tokenizer.json: added token ${JSON.stringify(content)} has two ids`);
    ids.set(content, id as number);
    const special = fields?.["special"] === true || named.has(content);
    return {
      id: id as number,
      content,
      special,
      normalized: typeof fields?.["normalized"] === "boolean" ? fields["normalized"] : !special,
      lstrip: fields?.["lstrip"] === true,
      rstrip: fields?.["rstrip"] === true,
      singleWord: fields?.["single_word"] === true,
    };
  });
}

/** `bos_token` and the like of tokenizer_config.json, as templates get them. */
export function specialTokenNames(config: TokenizerConfigJson): Readonly<Record<string, string>> {
  const names: Record<string, string> = {};
  for (const field of ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"]) {
    const content = contentOf(config[field]);
    if (content !== undefined) names[field] = content;
  }
  return names;
}

/** Tokens are written as strings or as objects with a content. */
function contentOf(value: unknown): string | undefined {
  const content = typeof value === "object" && value !== null ? (value as { content?: unknown }).content : value;
  return typeof content === "string" ? content : undefined;
}

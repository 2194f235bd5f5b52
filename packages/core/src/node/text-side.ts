/**
 * The text side of a model folder: tokenizer and chat template from their files.
 * In: a folder. Out: both, where they are there. Called by the model folder reader and by the text worker's thread.
 */
import type { ChatMessage, ChatTemplate, EncodeOptions, RenderedChat, RenderOptions, Tokenizer } from "../contracts/index.js";
import { ModelLoadError } from "../errors/index.js";
import { HfTokenizer, JinjaChatTemplate, specialTokenNames, type TokenizerConfigJson } from "../text/index.js";
import { MAX_CONFIG_BYTES, readJsonFile, readTextFile } from "./confined-file.js";

/** The largest real tokenizers have 35 MB. */
const MAX_TOKENIZER_BYTES = 128 * 2 ** 20;

/** Does the same work with the same files elsewhere; the text worker. */
export interface OffThreadText {
  encode(text: string, options?: EncodeOptions): Promise<Int32Array>;
  render(messages: readonly ChatMessage[], options?: RenderOptions): Promise<RenderedChat>;
}

export interface TextSide {
  readonly tokenizer?: Tokenizer;
  readonly chatTemplate?: ChatTemplate;
}

/** A folder without tokenizer.json takes token ids only. */
export async function readTextSide(folder: string, offThread?: OffThreadText): Promise<TextSide> {
  const json = await readJsonFile(folder, "tokenizer.json", MAX_TOKENIZER_BYTES);
  if (json === undefined) return {};
  const config = await readTokenizerConfig(folder);
  const tokenizer = new HfTokenizer(json, config, offThread && ((text, options) => offThread.encode(text, options)));
  const source = await readTemplateSource(folder, config);
  if (source === undefined) return { tokenizer };
  const options = {
    specialTokens: specialTokenNames(config),
    ...(offThread ? { offThread: (...chat: Parameters<OffThreadText["render"]>) => offThread.render(...chat) } : {}),
  };
  return { tokenizer, chatTemplate: new JinjaChatTemplate(source, options) };
}

/** Older folders keep `bos_token` and the like in special_tokens_map.json. */
async function readTokenizerConfig(folder: string): Promise<TokenizerConfigJson> {
  const merged: Record<string, unknown> = {};
  for (const name of ["special_tokens_map.json", "tokenizer_config.json"]) {
    const json = await readJsonFile(folder, name, MAX_CONFIG_BYTES);
    if (json === undefined) continue;
    if (typeof json !== "object" || json === null || Array.isArray(json)) throw new ModelLoadError(`${name} must be a JSON object`);
    Object.assign(merged, json);
  }
  return merged;
}

async function readTemplateSource(folder: string, config: TokenizerConfigJson): Promise<string | undefined> {
  const file = await readTextFile(folder, "chat_template.jinja", MAX_CONFIG_BYTES);
  if (file !== undefined) return file;
  const field = config["chat_template"];
  if (field === undefined || field === null || typeof field === "string") return field ?? undefined;
  // Several named templates: transformers 4 wrote them as a list.
  const named = Array.isArray(field) ? (field as { readonly name?: unknown; readonly template?: unknown }[]) : [];
  const template = (named.find(({ name }) => name === "default") ?? named[0])?.template;
  if (typeof template !== "string")
    throw new ModelLoadError("tokenizer_config.json: chat_template must be a string or a list of named templates");
  return template;
}

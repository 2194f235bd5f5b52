/** A prompt as a caller gives it, to token ids. Called when a stream is consumed; throws into that stream alone. */
import type {
  ChatMessage,
  ChatOptions,
  ChatTemplate,
  GenerateOptions,
  ModelLimits,
  Prompt,
  RenderOptions,
  Tokenizer,
} from "../contracts/index.js";
import { InvalidRequestError, NotSupportedError } from "../errors/index.js";
import { encodeBounded, renderBounded } from "../text/bounded.js";
import { validateMessages, validatePromptTokenIds } from "./validate-prompt.js";

export type { ChatOptions, Prompt };

/** What of the engine's parts a prompt needs. */
export interface PromptContext {
  readonly info: { readonly vocabSize: number; readonly limits: ModelLimits };
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
}

/**
 * At once for ids and short texts; a promise where the text is long enough to be read on another thread.
 * @throws InvalidRequestError, NotSupportedError when the model has no tokenizer or template for it, TimeoutError
 */
export function readPrompt(prompt: Prompt, options: GenerateOptions, context: PromptContext): Int32Array | Promise<Int32Array> {
  if (typeof prompt === "string") return readText(prompt, options, context);
  if (isMessages(prompt)) return readMessages(prompt, {}, context);
  return validatePromptTokenIds(prompt, context.info.vocabSize, context.info.limits.maxModelLen);
}

/** @throws as readPrompt */
export function readMessages(
  messages: readonly ChatMessage[],
  options: RenderOptions,
  context: PromptContext,
): Int32Array | Promise<Int32Array> {
  const checked = validateMessages(messages);
  if (!context.chatTemplate)
    throw new NotSupportedError("the model has no chat template; pass one as the chatTemplate option, or a text prompt");
  const tokenizer = requireTokenizer(context);
  return whenRead(renderBounded(context.chatTemplate, checked, options), ({ text, contentSpans }) => {
    // The template wrote the special tokens itself; those in a user's text stay text.
    const encode = { addSpecialTokens: false, specialTokens: { literalSpans: contentSpans } };
    return whenRead(encodeBounded(tokenizer, text, encode), nonEmpty);
  });
}

/** Separates what the template takes from what the request takes. */
export function splitChatOptions(options: ChatOptions): { readonly render: RenderOptions; readonly generate: GenerateOptions } {
  const { tools, addGenerationPrompt, templateVariables, ...generate } = options;
  const render = {
    ...(tools === undefined ? {} : { tools }),
    ...(addGenerationPrompt === undefined ? {} : { addGenerationPrompt }),
    ...(templateVariables === undefined ? {} : { variables: templateVariables }),
  };
  return { render, generate };
}

function readText(text: string, options: GenerateOptions, context: PromptContext): Int32Array | Promise<Int32Array> {
  const encode = {
    addSpecialTokens: options.addSpecialTokens ?? true,
    specialTokens: options.specialTokensInPrompt ? ("all" as const) : ("none" as const),
  };
  return whenRead(encodeBounded(requireTokenizer(context), text, encode), nonEmpty);
}

/** `then` that stays in this turn of the event loop when there is nothing to wait for. */
function whenRead<T, U>(value: T | Promise<T>, use: (value: T) => U | Promise<U>): U | Promise<U> {
  return value instanceof Promise ? value.then(use) : use(value);
}

function nonEmpty(ids: Int32Array): Int32Array {
  if (ids.length === 0) throw new InvalidRequestError("the prompt has no tokens; it takes at least one");
  return ids;
}

function requireTokenizer({ tokenizer }: PromptContext): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new NotSupportedError("the model has no tokenizer; pass token ids, or a tokenizer option to createEngine");
}

function isMessages(prompt: unknown): prompt is readonly ChatMessage[] {
  return Array.isArray(prompt) && typeof prompt[0] === "object";
}

/**
 * Text work within limits: short inputs here and now, long ones on the text worker, far too long ones not at all.
 * In: a tokenizer or template and a caller's text. Out: the result, or a promise of it. Called by the engine before a request is queued.
 */
import type { ChatMessage, ChatTemplate, EncodeOptions, RenderedChat, RenderOptions, Tokenizer } from "../contracts/index.js";
import { InvalidRequestError } from "../errors/index.js";

export interface TextLimits {
  /** UTF-16 units that are encoded on the caller's thread, at most; some milliseconds. Default 16,384. */
  readonly maxInline?: number;
  /** UTF-16 units that are taken at all. Default 16,777,216. */
  readonly maxLength?: number;
}

const MAX_INLINE = 2 ** 14;
const MAX_LENGTH = 2 ** 24;

/**
 * The ids of `text`, without holding up the thread for long.
 * @throws InvalidRequestError when the text is too long, or too long for a tokenizer that has no worker; TimeoutError
 */
export function encodeBounded(
  tokenizer: Tokenizer,
  text: string,
  options: EncodeOptions = {},
  limits: TextLimits = {},
): Int32Array | Promise<Int32Array> {
  checkLength(text.length, "the text", limits);
  const inline = text.length <= (limits.maxInline ?? MAX_INLINE) || !tokenizer.encodeOffThread;
  return inline ? tokenizer.encode(text, options) : tokenizer.encodeOffThread!(text, options);
}

/**
 * The rendered conversation, without holding up the thread for long.
 * @throws InvalidRequestError when the messages are too long or the template refuses them; TimeoutError
 */
export function renderBounded(
  template: ChatTemplate,
  messages: readonly ChatMessage[],
  options: RenderOptions = {},
  limits: TextLimits = {},
): RenderedChat | Promise<RenderedChat> {
  const length = messages.reduce((sum, { content }) => sum + (typeof content === "string" ? content.length : 0), 0);
  checkLength(length, "the messages together", limits);
  const inline = length <= (limits.maxInline ?? MAX_INLINE) || !template.renderOffThread;
  return inline ? template.render(messages, options) : template.renderOffThread!(messages, options);
}

function checkLength(length: number, what: string, { maxLength = MAX_LENGTH }: TextLimits): void {
  if (length > maxLength) throw new InvalidRequestError(`${what} has ${length} characters; at most ${maxLength} are taken`);
}

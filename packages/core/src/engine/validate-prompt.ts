/**
 * Checks what a request starts from: token ids or chat messages, as callers (and servers on their behalf) pass them.
 * Out: ids of our own that nobody else can change, or messages whose shape the chat template can rely on.
 */
import type { ChatMessage } from "../contracts/tokenizer.js";
import { ContextLengthError, InvalidRequestError } from "../errors/index.js";
import { describeValue, invalidOption } from "./option-checks.js";

/**
 * @param ids an array or an integer typed array of token ids
 * @returns a copy
 * @throws InvalidRequestError; ContextLengthError when no output token would fit after them (found before they are read)
 */
export function validatePromptTokenIds(ids: unknown, vocabSize: number, maxModelLen: number): Int32Array {
  if (!Array.isArray(ids) && !isIntegerArray(ids)) {
    throw invalidOption("the prompt", ids, "token ids as an array of numbers or an integer typed array");
  }
  if (ids.length === 0) throw new InvalidRequestError("the prompt is empty; it takes at least one token");
  if (ids.length >= maxModelLen) {
    throw new ContextLengthError(
      `the prompt has ${ids.length} tokens and the context holds ${maxModelLen}, output included; shorten the prompt or raise maxModelLen`,
    );
  }
  const copy = new Int32Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    const id: unknown = ids[i];
    if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize) {
      throw invalidOption(`prompt token ${i}`, id, `a whole number from 0 to ${vocabSize - 1}`);
    }
    copy[i] = id as number;
  }
  return copy;
}

/**
 * Checks shape only: a list of objects with role and content. Which roles, and in which order, is the template's affair.
 * @throws InvalidRequestError
 */
export function validateMessages(messages: unknown): readonly ChatMessage[] {
  if (!Array.isArray(messages)) throw invalidOption("messages", messages, "an array of { role, content }");
  if (messages.length === 0) throw new InvalidRequestError("messages is empty; it takes at least one { role, content }");
  for (let i = 0; i < messages.length; i++) checkMessage(messages[i], `messages[${i}]`);
  return messages as ChatMessage[];
}

function checkMessage(value: unknown, where: string): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw invalidOption(where, value, "an object with role and content");
  }
  const { role, content, name } = value as Partial<ChatMessage>;
  if (typeof role !== "string" || role === "") throw invalidOption(`${where}.role`, role, "a string such as user or assistant");
  if (typeof content !== "string") {
    const parts = Array.isArray(content) ? "; this model takes text, not a list of parts" : "";
    throw new InvalidRequestError(`${where}.content is ${describeValue(content)}; it takes a string${parts}`);
  }
  if (name !== undefined && typeof name !== "string") throw invalidOption(`${where}.name`, name, "a string");
}

type IntegerArray = Int8Array | Uint8Array | Uint8ClampedArray | Int16Array | Uint16Array | Int32Array | Uint32Array;

function isIntegerArray(value: unknown): value is IntegerArray {
  return ArrayBuffer.isView(value) && /^(Int|Uint)(8|8Clamped|16|32)Array$/.test((value as IntegerArray)[Symbol.toStringTag]);
}

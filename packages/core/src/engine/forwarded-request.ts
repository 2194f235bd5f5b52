/**
 * ForwardedRequest: a request that another process made. In: its prompt, options, and what an earlier life of the engine
 * already made of it. Given to `LLMEngine.submit` by `serveEngine`; nobody else needs it.
 */
import type { ChatMessage, GenerateOptions, Prompt, RenderOptions } from "../contracts/index.js";
import type { LiveRequests } from "./live-requests.js";
import { readMessages, readPrompt, type PromptContext } from "./prompt.js";
import type { PromptRead } from "./request-intake.js";

export interface ForwardedRequest {
  readonly prompt: Prompt;
  /** The prompt is messages, to be rendered so. */
  readonly render?: RenderOptions;
  readonly options: GenerateOptions;
  /**
   * Output that was delivered already: the request goes on behind it as if it had never stopped (counters of seeds,
   * penalties, minimum tokens, held-back text). Default: none.
   */
  readonly outputTokenIds?: readonly number[];
  /** Shares that request's KV blocks where it can: where the prompt is tokens of it, and there is no output yet. */
  readonly parentRequestId?: string;
  /** Told the prompt's ids once they are read, before the request is queued. */
  readonly onPrompt?: (promptTokenIds: Int32Array) => void;
}

/** @throws as readPrompt */
export function readForwarded(request: ForwardedRequest, context: PromptContext, live: LiveRequests): PromptRead | Promise<PromptRead> {
  const { prompt, render, options, outputTokenIds = [], parentRequestId, onPrompt } = request;
  const named = parentRequestId === undefined ? undefined : live.get(parentRequestId);
  const complete = (promptTokenIds: Int32Array): PromptRead => {
    onPrompt?.(promptTokenIds);
    // A parent's blocks hold its own tokens: they are of use to nobody else.
    const parent = outputTokenIds.length === 0 && named?.sequence.startsWith(promptTokenIds) ? named : undefined;
    return { promptTokenIds, outputTokenIds, ...(parent ? { parent } : {}) };
  };
  const ids = render ? readMessages(prompt as readonly ChatMessage[], render, context) : readPrompt(prompt, options, context);
  return ids instanceof Promise ? ids.then(complete) : complete(ids);
}

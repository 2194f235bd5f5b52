/** The JSON object of `weir generate --json`: names that scripts rely on, in snake case. */
import {
  InternalError,
  type Engine,
  type GenerateOptions,
  type RequestTimings,
  type TokenEvent,
  type TokenLogprob,
  type Usage,
} from "@weir/core";

export interface GenerateResult {
  readonly prompt_ids: readonly number[];
  readonly tokens: readonly number[];
  readonly text: string;
  /** Of `tokens`, natural log. */
  readonly logprobs: readonly number[];
  /** With --logprobs N, N > 0: the N best at each position, best first. */
  readonly top_logprobs?: readonly (readonly TokenLogprob[])[];
  readonly finish_reason: string;
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number; readonly total_tokens: number };
  readonly timings: Readonly<Record<"prefill_ms" | "decode_ms" | "ttft_ms" | "total_ms", number>>;
  /** With --full-logits: [vocabSize], what the first token was chosen from. */
  readonly first_logits?: readonly number[];
}

/** Runs one request to its end. */
export async function collectResult(
  engine: Engine,
  prompt: string | number[],
  promptIds: readonly number[],
  options: GenerateOptions,
): Promise<GenerateResult> {
  const tokens: Extract<TokenEvent, { type: "token" }>[] = [];
  let text = "";
  for await (const event of engine.generate(prompt, options)) {
    if (event.type === "token" || event.type === "request-end") text += event.text;
    if (event.type === "token") tokens.push(event);
    if (event.type !== "request-end") continue;
    const logits = tokens[0]?.logits;
    return {
      prompt_ids: promptIds,
      tokens: tokens.map(({ id }) => id),
      text,
      logprobs: tokens.map(({ logprob }) => logprob ?? Number.NaN),
      ...(options.logprobs ? { top_logprobs: tokens.map(({ top }) => top ?? []) } : {}),
      finish_reason: event.finishReason,
      usage: usageOf(event.usage),
      timings: timingsOf(event.timings),
      ...(logits ? { first_logits: [...logits] } : {}),
    };
  }
  throw new InternalError("the stream ended without a request-end event");
}

function usageOf({ promptTokens, completionTokens, totalTokens }: Usage): GenerateResult["usage"] {
  return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: totalTokens };
}

function timingsOf({ prefill, decode, timeToFirstToken, total }: RequestTimings): GenerateResult["timings"] {
  return { prefill_ms: prefill, decode_ms: decode, ttft_ms: timeToFirstToken, total_ms: total };
}

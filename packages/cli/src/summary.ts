/** The lines that commands print about an engine and about a finished request. */
import type { Engine, TokenEvent } from "@weir/core";

type RequestEnd = Extract<TokenEvent, { type: "request-end" }>;

/** One line: model, backend, what was chosen for weights and KV, room for streams. */
export function describeEngine(engine: Engine): string {
  const { model, backend, weightScheme, kvDtype, limits } = engine.info;
  const tokens = limits.numBlocks * limits.blockSize;
  return `${model} on ${backend}: weights ${weightScheme}, KV ${kvDtype}, context ${limits.maxModelLen}, room for ${tokens} tokens`;
}

/** Rates and times of one request. */
export function describeRun({ usage, timings, finishReason }: RequestEnd): string {
  const prefill = rate(usage.promptTokens, timings.prefill);
  const decode = rate(usage.completionTokens - 1, timings.decode);
  return [
    `${usage.promptTokens} prompt tokens at ${prefill} tok/s`,
    `${usage.completionTokens} new tokens at ${decode} tok/s`,
    `first token after ${timings.timeToFirstToken.toFixed(1)} ms`,
    `${(timings.total / 1000).toFixed(2)} s in all`,
    `ended by ${finishReason}`,
  ].join("; ");
}

function rate(tokens: number, milliseconds: number): string {
  return tokens > 0 && milliseconds > 0 ? ((tokens / milliseconds) * 1000).toFixed(1) : "-";
}

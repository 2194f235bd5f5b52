/**
 * Which strings could hold a special token at all? A cheap test that errs on the safe side and knows no tokenizer.
 * Called by content-marks, which need not care where harmless text went.
 */
import type { ChatMessage, TextSpan } from "../contracts/index.js";

/** Special tokens all have some character outside of words and plain punctuation. */
export function isRisky(value: string): boolean {
  return /[^\p{L}\p{M}\p{N}\s.,;:!?'"()+*=-]/u.test(value);
}

export function anyRisky(messages: readonly ChatMessage[], tools: readonly unknown[] | undefined): boolean {
  return isRisky(messages.map(({ content }) => content).join("")) || hasRiskyString(messages) || hasRiskyString(tools);
}

function hasRiskyString(value: unknown): boolean {
  if (typeof value === "string") return isRisky(value);
  return typeof value === "object" && value !== null && Object.values(value).some(hasRiskyString);
}

/** Keys cannot be marked. */
export function hasRiskyKey(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) return value.some(hasRiskyKey);
  return Object.entries(value).some(([key, item]) => /[<>[\]|\u2581\uff5c]/.test(key) || hasRiskyKey(item));
}

/** Could text outside the spans come from one of these pieces and hold a special token? Compares runs of 3 characters. */
export function mayRemain(text: string, spans: readonly TextSpan[], lost: readonly string[]): boolean {
  if (!lost.some(isRisky)) return false;
  const outside = new Set<string>();
  let from = 0;
  for (const { start, end } of [...spans, { start: text.length, end: text.length }]) {
    for (let i = from; i + 3 <= start; i++) outside.add(text.slice(i, i + 3));
    from = end;
  }
  return lost.some((piece) => {
    for (let i = 0; i + 3 <= piece.length; i++) {
      const run = piece.slice(i, i + 3);
      if (outside.has(run) && isRisky(run)) return true;
    }
    return false;
  });
}

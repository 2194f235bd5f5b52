/** Operators over a request's events: `stream.pipe(toText())`, `stream.pipe(toUsage())`. */
import { filter, map, pipe, type OperatorFunction } from "rxjs";
import type { TokenEvent, Usage } from "../contracts/index.js";

type RequestEnd = Extract<TokenEvent, { readonly type: "request-end" }>;

/** Text as it becomes certain; empty deltas are left out. Joined they are the whole text. */
export function toText(): OperatorFunction<TokenEvent, string> {
  return pipe(
    map((event) => (event.type === "token" || event.type === "request-end" ? event.text : "")),
    filter((text) => text !== ""),
  );
}

/** The token counts, once, when the request ends. */
export function toUsage(): OperatorFunction<TokenEvent, Usage> {
  return pipe(
    filter((event): event is RequestEnd => event.type === "request-end"),
    map((event) => event.usage),
  );
}

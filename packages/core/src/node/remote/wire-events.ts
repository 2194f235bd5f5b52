/**
 * Token events across the boundary. Text and ids travel as they are, log-probabilities as the shortest decimal that is
 * the same f64, a row of full logits as base64 of its f32 bytes: 4/3 of their size, once per request.
 */
import type { TokenEvent, TokenLogprob } from "../../contracts/index.js";
import { ProtocolError } from "./schema.js";
import type { WireEvent } from "./messages.js";
import { finiteOrNull } from "./wire-options.js";

type Token = Extract<TokenEvent, { readonly type: "token" }>;
type WireToken = Extract<WireEvent, readonly ["token" | "token+", ...unknown[]]>;

export function toWireToken(id: number, event: Token): WireToken {
  const { id: token, text, logprob, top, logits } = event;
  if (logprob === undefined && !logits) return ["token", id, token, text];
  return [
    "token+",
    id,
    token,
    text,
    logprob === undefined ? "none" : finiteOrNull(logprob),
    top ? top.map((each) => [each.id, finiteOrNull(each.logprob)] as const) : null,
    logits ? Buffer.from(logits.buffer, logits.byteOffset, logits.byteLength).toString("base64") : null,
  ];
}

/**
 * @param index position in the output
 * @throws ProtocolError for an id or a row that is not of this vocabulary
 */
export function fromWireToken(wire: WireToken, requestId: string, index: number, vocabSize: number): Token {
  const [, , id, text] = wire;
  if (id >= vocabSize) throw new ProtocolError(`token ${id} is outside the vocabulary of ${vocabSize}`);
  const event = { type: "token", requestId, id, text, index } as const;
  if (wire[0] === "token") return event;
  const [, , , , logprob, top, logits] = wire;
  return {
    ...event,
    ...(logprob === "none" ? {} : { logprob: logprob ?? -Infinity }),
    ...(top ? { top: top.map(([topId, value]): TokenLogprob => ({ id: topId, logprob: value ?? -Infinity })) } : {}),
    ...(logits ? { logits: decodeRow(logits, vocabSize) } : {}),
  };
}

/** @returns [vocabSize] f32, of its own */
function decodeRow(base64: string, vocabSize: number): Float32Array {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length !== vocabSize * 4) throw new ProtocolError(`a row of logits has ${bytes.length} bytes; it takes ${vocabSize * 4}`);
  return new Float32Array(new Uint8Array(bytes).buffer);
}

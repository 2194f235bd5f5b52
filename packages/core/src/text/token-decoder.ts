/**
 * TokenDecoder: token strings to text, as the tokenizer's decoder says but stable under streaming: whatever follows,
 * complete characters stay what they were. Called by HfTokenizer and its detokenizers with a few tokens at a time.
 */
import type { LibraryDecoder } from "./tokenizers-library.js";

/** A token to decode; `added` ones are text as they are. */
export interface DecodableToken {
  readonly content: string;
  readonly added: boolean;
}

export type TokenDecoder = (tokens: readonly DecodableToken[]) => string;

/** @param decoder the library's, as tokenizer.json describes it; changed in place to the streaming-safe byte fallback */
export function createTokenDecoder(decoder: LibraryDecoder | null): TokenDecoder {
  if (decoder?.config.type === "ByteLevel") return decodeByteLevel;
  if (!decoder) return (tokens) => tokens.map(({ content }) => content).join(" ");
  const steady = withSteadyByteFallback(decoder);
  return (tokens) => (tokens.length === 0 ? "" : steady.decode_chain(tokens.map(({ content }) => content)).join(""));
}

/** GPT-2's alphabet: every byte is one printable character. */
function decodeByteLevel(tokens: readonly DecodableToken[]): string {
  let text = "";
  const bytes: number[] = [];
  for (const { content, added } of tokens) {
    if (added) {
      text += decodeUtf8(bytes) + content;
      bytes.length = 0;
    } else pushBytes(content, bytes);
  }
  return text + decodeUtf8(bytes);
}

function pushBytes(content: string, bytes: number[]): void {
  const start = bytes.length;
  for (const character of content) {
    const byte = BYTE_OF.get(character);
    if (byte === undefined) {
      // A token outside the alphabet stands for its own UTF-8, as in Hugging Face's decoder.
      bytes.length = start;
      bytes.push(...new TextEncoder().encode(content));
      return;
    }
    bytes.push(byte);
  }
}

const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });

function decodeUtf8(bytes: readonly number[]): string {
  return bytes.length === 0 ? "" : UTF8.decode(Uint8Array.from(bytes));
}

const BYTE_OF: ReadonlyMap<string, number> = byteAlphabet();

/** Printable Latin-1 bytes stand for themselves, the others for U+0100 and on, in order. */
function byteAlphabet(): Map<string, number> {
  const map = new Map<string, number>();
  let next = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    map.set(String.fromCharCode(printable ? byte : next++), byte);
  }
  return map;
}

function withSteadyByteFallback(decoder: LibraryDecoder): LibraryDecoder {
  if (decoder.config.type === "ByteFallback") return { config: decoder.config, decode_chain: decodeByteTokens };
  if (decoder.decoders) decoder.decoders = decoder.decoders.map(withSteadyByteFallback);
  return decoder;
}

/**
 * Runs of `<0xNN>` tokens as text: complete characters are kept, every other byte is one U+FFFD. Hugging Face's
 * decoder replaces a whole run as soon as one byte of it is wrong, which a stream cannot take back.
 */
function decodeByteTokens(tokens: readonly string[]): string[] {
  const pieces: string[] = [];
  const run: number[] = [];
  for (const token of tokens) {
    const byte = /^<0x([0-9A-Fa-f]{2})>$/.exec(token)?.[1];
    if (byte !== undefined) run.push(Number.parseInt(byte, 16));
    else {
      pieces.push(decodeBytewise(run), token);
      run.length = 0;
    }
  }
  pieces.push(decodeBytewise(run));
  return pieces;
}

function decodeBytewise(bytes: readonly number[]): string {
  let text = "";
  for (let i = 0; i < bytes.length;) {
    const length = characterLength(bytes[i]!);
    const character = decodeUtf8(bytes.slice(i, i + length));
    const complete = !character.includes(REPLACEMENT) || isReplacement(bytes, i);
    text += complete ? character : REPLACEMENT;
    i += complete ? length : 1;
  }
  return text;
}

const REPLACEMENT = "\ufffd";

/** Bytes that the lead byte asks for. */
function characterLength(lead: number): number {
  if (lead < 0xc2) return 1;
  if (lead < 0xe0) return 2;
  return lead < 0xf0 ? 3 : 4;
}

/** U+FFFD itself, written in full: EF BF BD. */
function isReplacement(bytes: readonly number[], at: number): boolean {
  return bytes[at] === 0xef && bytes[at + 1] === 0xbf && bytes[at + 2] === 0xbd;
}

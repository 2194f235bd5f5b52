/**
 * Frames: how messages lie on the pipe between an engine and its child process. Each is 4 bytes of length and 4 of
 * CRC-32 (both little-endian, of the body), then the body: one JSON value in UTF-8. A frame is read whole or not at all,
 * so a process that dies in the middle of one has not said it.
 */
import { crc32 } from "node:zlib";
import { ProtocolError } from "./schema.js";

const HEADER_BYTES = 8;
/** A prompt of ten million tokens, or a row of logits many times over. */
export const MAX_FRAME_BYTES: number = 64 * 2 ** 20;

/** @throws ProtocolError when the message is larger than a frame may be */
export function encodeFrame(message: unknown): Buffer {
  const body = JSON.stringify(message);
  const length = Buffer.byteLength(body);
  if (length > MAX_FRAME_BYTES) throw new ProtocolError(`a message has ${length} bytes; a frame takes ${MAX_FRAME_BYTES}`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + length);
  frame.write(body, HEADER_BYTES);
  frame.writeUInt32LE(length, 0);
  frame.writeUInt32LE(crc32(frame.subarray(HEADER_BYTES)), 4);
  return frame;
}

/** Bytes in, in pieces of any size; parsed JSON out. */
export class FrameReader {
  readonly #onValue: (value: unknown) => void;
  #pieces: Buffer[] = [];
  #numBytes = 0;

  constructor(onValue: (value: unknown) => void) {
    this.#onValue = onValue;
  }

  /** @throws ProtocolError for a wrong length, checksum or JSON; the stream cannot be read on then */
  push(piece: Buffer): void {
    this.#pieces.push(piece);
    this.#numBytes += piece.length;
    for (;;) {
      if (this.#numBytes < HEADER_BYTES) return;
      const length = this.#joined(HEADER_BYTES).readUInt32LE(0);
      if (length > MAX_FRAME_BYTES) throw new ProtocolError(`a frame claims ${length} bytes; it takes ${MAX_FRAME_BYTES}`);
      if (this.#numBytes < HEADER_BYTES + length) return;
      this.#take(length);
    }
  }

  #take(length: number): void {
    const bytes = this.#joined(HEADER_BYTES + length);
    const body = bytes.subarray(HEADER_BYTES, HEADER_BYTES + length);
    const checksum = bytes.readUInt32LE(4);
    const rest = bytes.subarray(HEADER_BYTES + length);
    this.#pieces = rest.length > 0 ? [rest] : [];
    this.#numBytes = rest.length;
    if (crc32(body) !== checksum) throw new ProtocolError("a frame's checksum is wrong: bytes were lost or changed");
    this.#onValue(parse(body));
  }

  /** The first piece, made to hold at least `numBytes`, which are there. */
  #joined(numBytes: number): Buffer {
    if (this.#pieces[0]!.length < numBytes) this.#pieces = [Buffer.concat(this.#pieces)];
    return this.#pieces[0]!;
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch (cause) {
    throw new ProtocolError("a frame holds no JSON", { cause });
  }
}

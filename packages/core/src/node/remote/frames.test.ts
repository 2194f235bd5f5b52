import { describe, expect, it } from "vitest";
import { encodeFrame, FrameReader, MAX_FRAME_BYTES } from "./frames.js";
import { ProtocolError } from "./schema.js";

const MESSAGES = [{ type: "a", text: "é😀\ud800\u0000" }, [1, 2.5, null], "x".repeat(5000), 0];

function read(...pieces: Buffer[]): unknown[] {
  const values: unknown[] = [];
  const reader = new FrameReader((value) => values.push(value));
  for (const piece of pieces) reader.push(piece);
  return values;
}

describe("frames", () => {
  const bytes = Buffer.concat(MESSAGES.map((message) => encodeFrame(message)));

  it("come out whole however the bytes are cut", () => {
    expect(read(bytes)).toEqual(MESSAGES);
    for (const size of [1, 2, 7, 8, 9, 64, 1000]) {
      const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));
      expect(read(...pieces)).toEqual(MESSAGES);
    }
  });

  it("that were not written to the end say nothing", () => {
    const frame = encodeFrame({ all: "or nothing" });
    for (let cut = 0; cut < frame.length; cut++) expect(read(frame.subarray(0, cut))).toEqual([]);
  });

  it("with a changed byte, a length too large, or no JSON are refused", () => {
    const frame = encodeFrame({ n: 12345 });
    for (let i = 4; i < frame.length; i++) {
      const changed = Buffer.from(frame);
      changed[i]! ^= 1;
      expect(() => read(changed)).toThrow(ProtocolError);
    }
    const huge = Buffer.alloc(8);
    huge.writeUInt32LE(MAX_FRAME_BYTES + 1, 0);
    expect(() => read(huge)).toThrow(/claims/);
    expect(() => encodeFrame("x".repeat(MAX_FRAME_BYTES))).toThrow(ProtocolError);
  });
});

import { describe, expect, it } from "vitest";
import { IncrementalDetokenizer } from "./incremental-detokenizer.js";

/** Ids are bytes. */
const decodeBytes = (ids: readonly number[]): string => new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(ids));
const none = (): boolean => false;

describe("IncrementalDetokenizer", () => {
  it("gives characters when they are whole and the rest when asked", () => {
    const detokenizer = new IncrementalDetokenizer(decodeBytes, none);
    const pieces = [..."a👍b"].flatMap((character) => [...new TextEncoder().encode(character)]).map((id) => detokenizer.push(id));
    expect(pieces).toEqual(["a", "", "", "", "👍", "b"]);
    expect(detokenizer.push(0xf0)).toBe("");
    expect(detokenizer.flush()).toBe("\ufffd");
    expect(detokenizer.flush()).toBe("");
  });

  it("decodes no more than a few ids at a time, however long the output or the context is", () => {
    let most = 0;
    const counting = (ids: readonly number[]): string => {
      most = Math.max(most, ids.length);
      return decodeBytes(ids);
    };
    const context = Array.from({ length: 10_000 }, () => 0x61);
    const detokenizer = new IncrementalDetokenizer(counting, none, context);
    for (let i = 0; i < 2000; i++) detokenizer.push(i % 3 === 0 ? 0x80 : 0x61);
    for (let i = 0; i < 100; i++) detokenizer.push(0xf0);
    expect(most).toBeLessThanOrEqual(30);
  });

  it("loses and doubles nothing when a long run of broken bytes ends in a character", () => {
    const ids = [...Array.from({ length: 50 }, () => 0xf0), ...new TextEncoder().encode("👍")];
    const detokenizer = new IncrementalDetokenizer(decodeBytes, none);
    expect(ids.map((id) => detokenizer.push(id)).join("") + detokenizer.flush()).toBe(decodeBytes(ids));
  });

  it("leaves out skipped ids, also between the bytes of a character", () => {
    const detokenizer = new IncrementalDetokenizer(decodeBytes, (id) => id === 999);
    expect([0xc3, 999, 0xa9].map((id) => detokenizer.push(id))).toEqual(["", "", "é"]);
  });
});

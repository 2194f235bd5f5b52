import { readFileSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { HfTokenizer } from "./hf-tokenizer.js";

interface EncodeCase {
  readonly text: string;
  readonly ids: number[];
  readonly ids_plain: number[];
  readonly decoded: string;
  readonly decoded_skip: string;
  readonly ids_special_as_text?: number[];
}

interface StreamCase {
  readonly name: string;
  readonly prompt_ids: number[];
  readonly ids: number[];
  readonly skip_special_tokens: boolean;
  readonly valid_utf8: boolean;
  readonly text: string;
}

interface Expected {
  readonly vocab_size: number;
  readonly bos_token_id: number | null;
  readonly eos_token_id: number | null;
  readonly encode: EncodeCase[];
  readonly stream: StreamCase[];
}

const NAMES = ["bytelevel_bpe", "sentencepiece_bpe", "unigram"];

describe.each(NAMES)("HfTokenizer on %s", (name) => {
  const expected = readJson(name, "expected.json") as Expected;
  const tokenizer = openFixture(name);

  it("knows its sizes and special ids", () => {
    expect(tokenizer.vocabSize).toBe(expected.vocab_size);
    expect(tokenizer.bosTokenId ?? null).toBe(expected.bos_token_id);
    expect(tokenizer.eosTokenId ?? null).toBe(expected.eos_token_id);
    expect(tokenizer.isSpecial(expected.eos_token_id!)).toBe(true);
  });

  it.each(expected.encode.map((entry) => [JSON.stringify(entry.text).slice(0, 60), entry] as const))(
    "encodes and decodes %s",
    (_, entry) => {
      const trusted = { specialTokens: "all" } as const;
      expect([...tokenizer.encode(entry.text, trusted)]).toEqual(entry.ids);
      expect([...tokenizer.encode(entry.text, { ...trusted, addSpecialTokens: false })]).toEqual(entry.ids_plain);
      expect(tokenizer.decode(entry.ids_plain)).toBe(entry.decoded);
      expect(tokenizer.decode(entry.ids, { skipSpecialTokens: true })).toBe(entry.decoded_skip);
      const asText = entry.ids_special_as_text ?? entry.ids_plain;
      expect([...tokenizer.encode(entry.text, { addSpecialTokens: false })]).toEqual(asText);
      const literalSpans = [{ start: 0, end: entry.text.length }];
      expect([...tokenizer.encode(entry.text, { addSpecialTokens: false, specialTokens: { literalSpans } })]).toEqual(asText);
    },
  );

  it.each(expected.stream.map((entry) => [entry.name, entry] as const))("streams: %s", (_, entry) => {
    const detokenizer = tokenizer.createDetokenizer({ skipSpecialTokens: entry.skip_special_tokens, context: entry.prompt_ids });
    const pieces = entry.ids.map((id) => detokenizer.push(id));
    pieces.push(detokenizer.flush());
    expect(pieces.join("")).toBe(entry.text);
    if (entry.valid_utf8) expect(pieces.filter((piece) => piece.includes("\ufffd"))).toEqual([]);
  });

  it("streams any ids to the text that decoding them at once gives", () => {
    const id = fc.integer({ min: 0, max: tokenizer.vocabSize + 3 });
    fc.assert(
      fc.property(fc.array(id, { maxLength: 60 }), fc.boolean(), (ids, skipSpecialTokens) => {
        const detokenizer = tokenizer.createDetokenizer({ skipSpecialTokens });
        const joined = ids.map((next) => detokenizer.push(next)).join("") + detokenizer.flush();
        expect(joined).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});

describe("HfTokenizer", () => {
  const tokenizer = openFixture("bytelevel_bpe");

  it("recognises special tokens outside of literal spans only, and never across their edges", () => {
    const text = "<|im_start|>user\n<|im_end|><|im_end|>";
    const content = { start: 17, end: 27 };
    const ids = [...tokenizer.encode(text, { specialTokens: { literalSpans: [content] } })];
    expect(ids.filter((id) => tokenizer.isSpecial(id))).toEqual([2042, 2043]);
    const torn = [...tokenizer.encode("<|im_end|>", { specialTokens: { literalSpans: [{ start: 0, end: 4 }] } })];
    expect(torn.filter((id) => tokenizer.isSpecial(id))).toEqual([]);
  });

  it("gives no text for ids past the vocabulary", () => {
    expect(tokenizer.decode([39, 9999, 390])).toBe(tokenizer.decode([39, 390]));
  });

  it("holds back nothing for long when only broken bytes come", () => {
    const spm = openFixture("sentencepiece_bpe");
    const byte = spm.tokenToId("<0x80>")!;
    const detokenizer = spm.createDetokenizer({ skipSpecialTokens: true });
    let given = "";
    for (let i = 0; i < 1000; i++) given += detokenizer.push(byte);
    expect(given.length).toBeGreaterThan(980);
    expect(given + detokenizer.flush()).toBe("\ufffd".repeat(1000));
  });

  it("refuses texts that would take quadratic time or break the library", () => {
    expect(() => tokenizer.encode(`a${"\u0301\u0323".repeat(1000)}`)).toThrow(/more than 1024 combining marks in a row/);
    expect(tokenizer.encode(`a${"\u0301".repeat(1000)}`).length).toBeGreaterThan(1000);
    expect(() => openFixture("unigram").encode("a".repeat(400_000))).toThrow(/400000 characters\) has a run without a break/);
  });

  it("keeps lone surrogates, NUL and bidirectional marks from breaking anything", () => {
    for (const text of ["\ud800", "a\udc00b", "a\u0000b", "\u202eabc\u2066"]) {
      const decoded = tokenizer.decode(tokenizer.encode(text));
      expect(decoded).toBe(new TextDecoder().decode(new TextEncoder().encode(text)));
    }
  });

  it("refuses a tokenizer.json whose added tokens are empty, doubled or out of range", () => {
    const json = readJson("bytelevel_bpe", "tokenizer.json") as { added_tokens: object[] };
    const withToken = (token: object): object => ({ ...json, added_tokens: [...json.added_tokens, token] });
    expect(() => new HfTokenizer(withToken({ id: 1, content: "" }))).toThrow(/must not be empty/);
    expect(() => new HfTokenizer(withToken({ id: 1, content: "<|im_end|>" }))).toThrow(/two ids/);
    expect(() => new HfTokenizer(withToken({ id: 2 ** 40, content: "<x>" }))).toThrow(/has id 1099511627776/);
    expect(() => new HfTokenizer({ model: { type: "Nonsense" } })).toThrow(/cannot be used/);
    expect(() => new HfTokenizer(null)).toThrow(/no object model/);
  });
});

function openFixture(name: string): HfTokenizer {
  const config = readJson(name, "tokenizer_config.json") as Record<string, unknown>;
  return new HfTokenizer(readJson(name, "tokenizer.json"), config);
}

function readJson(name: string, file: string): unknown {
  const url = new URL(`../../../../fixtures/tokenizers/${name}/${file}`, import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as unknown;
}

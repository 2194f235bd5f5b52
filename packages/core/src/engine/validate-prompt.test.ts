import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ContextLengthError, InvalidRequestError, WeirError } from "../errors/index.js";
import { validateMessages, validatePromptTokenIds } from "./validate-prompt.js";

const check = (ids: unknown): Int32Array => validatePromptTokenIds(ids, 1000, 64);

describe("validatePromptTokenIds", () => {
  it.each([[[1, 2, 999]], [Int32Array.of(1, 2, 999)], [Uint32Array.of(1, 2, 999)], [Uint16Array.of(1, 2, 999)]])("takes %o", (ids) => {
    expect(check(ids)).toEqual(Int32Array.of(1, 2, 999));
  });

  it("takes a Buffer, which is a Uint8Array, and views of shared memory", () => {
    expect(check(Buffer.from([1, 2]))).toEqual(Int32Array.of(1, 2));
    expect(check(new Int32Array(new SharedArrayBuffer(8)))).toEqual(Int32Array.of(0, 0));
  });

  it("copies, so that the caller's array stays his", () => {
    const ids = Int32Array.of(1, 2);
    const copy = check(ids);
    ids[0] = 5;
    expect(copy[0]).toBe(1);
  });

  const refused: [unknown, string][] = [
    [[1, -1], "prompt token 1 is -1; it takes a whole number from 0 to 999"],
    [[1000], "prompt token 0 is 1000"],
    [[1.5], "prompt token 0 is 1.5"],
    [[NaN], "prompt token 0 is NaN"],
    [[[1, 2]], "prompt token 0 is an array of 2"],
    [[1, "2"], 'prompt token 1 is "2"'],
    [[1, null], "prompt token 1 is null"],
    [new Array(3), "prompt token 0 is undefined"],
    [[1n], "prompt token 0 is the bigint 1"],
    [[], "the prompt is empty"],
    [Float32Array.of(1, 2), "the prompt is an array of 2; it takes token ids as an array of numbers or an integer typed array"],
    [BigInt64Array.of(1n), "it takes token ids"],
    [new DataView(new ArrayBuffer(4)), "it takes token ids"],
    [{ length: 1, 0: 5 }, "the prompt is an object"],
    [null, "the prompt is null"],
    [5, "the prompt is 5"],
  ];

  it.each(refused)("refuses %o", (ids, message) => {
    expect(() => check(ids)).toThrow(InvalidRequestError);
    expect(() => check(ids)).toThrow(message);
  });

  it("refuses a prompt that leaves no room for one token, before reading it", () => {
    expect(check(new Int32Array(63))).toHaveLength(63);
    expect(() => check(new Int32Array(64))).toThrow(ContextLengthError);
    const million = new Array<unknown>(1e6).fill("bad");
    expect(() => check(million)).toThrow(ContextLengthError);
  });

  it("gives ids in range or a typed error, whatever it is given", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.anything({ withTypedArray: true, withSparseArray: true }), fc.array(fc.integer({ min: -2, max: 1001 }))),
        (ids) => {
          try {
            expect(check(ids).every((id) => id >= 0 && id < 1000)).toBe(true);
          } catch (error) {
            if (!WeirError.isInstance(error)) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("validateMessages", () => {
  it("takes any role, a name and further keys", () => {
    const messages = [{ role: "tool", content: "", name: "f", tool_call_id: "1" }];
    expect(validateMessages(messages)).toBe(messages);
  });

  const refused: [unknown, string][] = [
    ["hello", 'messages is "hello"; it takes an array'],
    [[], "messages is empty"],
    [[null], "messages[0] is null"],
    [[["user", "hi"]], "messages[0] is an array of 2"],
    [[{ role: "user", content: "a" }, { content: "b" }], "messages[1].role is undefined"],
    [[{ role: "", content: "b" }], 'messages[0].role is ""'],
    [[{ role: "user", content: 5 }], "messages[0].content is 5; it takes a string"],
    [[{ role: "user", content: [{ type: "text", text: "a" }] }], "this model takes text, not a list of parts"],
    [[{ role: "user", content: "a", name: 5 }], "messages[0].name is 5"],
    [new Array(2), "messages[0] is undefined"],
  ];

  it.each(refused)("refuses %o", (messages, text) => {
    expect(() => validateMessages(messages)).toThrow(InvalidRequestError);
    expect(() => validateMessages(messages)).toThrow(text);
  });
});

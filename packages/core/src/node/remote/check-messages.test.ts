import { describe, expect, it } from "vitest";
import { checkToChild, checkToHost } from "./check-messages.js";
import { ProtocolError } from "./schema.js";
import { TO_CHILD_EXAMPLES, TO_HOST_EXAMPLES } from "./testing-support/message-examples.js";

const copy = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("the protocol", () => {
  it("takes every message that it has", () => {
    for (const message of TO_CHILD_EXAMPLES) expect(checkToChild(copy(message))).toEqual(message);
    for (const message of TO_HOST_EXAMPLES) expect(checkToHost(copy(message))).toEqual(message);
  });

  it.each<[string, unknown, RegExp]>([
    ["nothing", null, /a message's type is undefined/],
    ["no type", {}, /a message's type/],
    ["an inherited name", { type: "constructor" }, /a message's type is "constructor"/],
    ["a host's message", { type: "ready" }, /it takes init, generate/],
    ["an unknown key", { type: "cancel", id: 1, more: 1 }, /cancel is "more"; it takes the keys type, id/],
    ["a prototype", JSON.parse('{"type":"cancel","id":1,"__proto__":{"x":1}}'), /__proto__/],
    ["a missing key", { type: "cancel" }, /cancel\.id is undefined; it takes a whole number/],
    ["half a request", { type: "cancel", id: 0.5 }, /cancel\.id is 0\.5/],
    ["a number as text", { type: "pause", id: "1", paused: true }, /pause\.id is "1"/],
  ])("refuses %s, and says where", (_, message, expected) => {
    expect(() => checkToChild(message)).toThrow(ProtocolError);
    expect(() => checkToChild(message)).toThrow(expected);
  });

  it("refuses JSON without a bottom, and tuples of a wrong length", () => {
    let deep: unknown = 1;
    for (let i = 0; i < 100; i++) deep = [deep];
    expect(() => checkToChild({ type: "init", protocol: 1, module: null, options: deep, beatMs: 1, drainMs: 1 })).toThrow(/64 levels/);
    expect(() => checkToHost({ type: "events", events: [["token", 1, 2]], stats: null })).toThrow(/3 elements after token/);
    expect(() => checkToHost({ type: "events", events: [["unheard", 1]], stats: null })).toThrow(/queued, scheduled/);
  });
});

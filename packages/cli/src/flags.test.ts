import { describe, expect, it } from "vitest";
import { parseFlags, UsageError, type FlagTable } from "./flags.js";

const TABLE: FlagTable = {
  prompt: { kind: "string", about: "", short: "p" },
  stop: { kind: "strings", about: "" },
  temperature: { kind: "number", about: "" },
  threads: { kind: "count", about: "" },
  json: { kind: "boolean", about: "" },
};

const parse = (...args: string[]): ReturnType<typeof parseFlags> => parseFlags(args, TABLE, 1);

describe("parseFlags", () => {
  it("gives each kind its type, and undefined, false or nothing for what is not there", () => {
    const flags = parse("model", "-p", "to be", "--stop", "a", "--stop=b", "--temperature", "0.5", "--threads", "2", "--json");
    expect(flags.positionals).toEqual(["model"]);
    expect(flags.string("prompt")).toBe("to be");
    expect(flags.strings("stop")).toEqual(["a", "b"]);
    expect([flags.number("temperature"), flags.number("threads")]).toEqual([0.5, 2]);
    expect(flags.boolean("json")).toBe(true);
    const none = parse();
    expect([none.string("prompt"), none.number("threads")]).toEqual([undefined, undefined]);
    expect([none.boolean("json"), none.strings("stop")]).toEqual([false, []]);
  });

  it("reads a negative number behind a number's flag, in every spelling", () => {
    for (const [text, value] of [
      ["-1", -1],
      ["-.5", -0.5],
      ["-1e3", -1000],
      ["-Infinity", -Infinity],
    ] as const) {
      expect(parse("--temperature", text).number("temperature")).toBe(value);
      expect(parse(`--temperature=${text}`).number("temperature")).toBe(value);
    }
  });

  it("takes what follows two dashes as arguments", () => {
    expect(parse("--json", "--", "--model").positionals).toEqual(["--model"]);
  });

  it.each([
    [["--jsn"], "unknown option '--jsn'; --help lists those there are"],
    [["-x"], "unknown option '-x'; --help lists those there are"],
    [["--constructor"], "unknown option '--constructor'; --help lists those there are"],
    [["--json=1"], "--json takes no value; write it alone"],
    [["--temperature"], "--temperature needs a value; one that starts with a dash goes behind an equals sign"],
    [["-p", "--json"], /^-p.* needs a value; one that starts with a dash/],
    [["--temperature", "hot"], "--temperature is 'hot'; it takes a number"],
    [["--temperature="], "--temperature is ''; it takes a number"],
    [["--threads", "0"], "--threads is 0; it takes a whole number from 1"],
    [["--threads", "-3"], "--threads is -3; it takes a whole number from 1"],
    [["--threads", "1.5"], "--threads is 1.5; it takes a whole number from 1"],
    [["--threads", "1e300"], "--threads is 1e300; it takes a whole number from 1"],
    [["a", "b"], "unexpected argument 'b'; quote a prompt and pass it with -p"],
  ])("refuses %j in one line that says what to change", (args, message) => {
    expect(() => parse(...args)).toThrow(UsageError);
    expect(() => parse(...args)).toThrow(message);
  });
});

import { describe, expect, it } from "vitest";
import { AbortedError, ContextLengthError, InvalidOptionsError, InvalidRequestError, ModelLoadError } from "@weir/core";
import { describeError, exitCodeOf } from "./errors.js";
import { UsageError } from "./flags.js";

describe("describeError", () => {
  it("names options by their flags, single words only where they are the subject", () => {
    const flags = ["max-model-len", "kv-cache-mb", "stop", "seed", "threads"];
    const told = (message: string): string => describeError(new InvalidOptionsError(message), flags);
    expect(told("maxModelLen is 9; lower maxModelLen or raise kvCacheBytes")).toBe(
      "--max-model-len is 9; lower --max-model-len or raise --kv-cache-mb",
    );
    expect(told("stop[0] is 5; the stop strings are text")).toBe("--stop[0] is 5; the stop strings are text");
    expect(told("cpuBackend: threads is 999")).toBe("cpuBackend: --threads is 999");
    expect(told("the seed is fine")).toBe("the seed is fine");
  });

  it("leaves other errors' words alone", () => {
    expect(describeError(new Error("seed is 5"), ["seed"])).toBe("seed is 5");
    expect(describeError("seed is 5", ["seed"])).toBe("seed is 5");
  });

  it("is one line without terminal codes, whatever a file's name holds", () => {
    expect(describeError(new ModelLoadError("tensor a\n  b\u001b[31m\u0007 is odd"), [])).toBe("tensor a b?[31m? is odd");
    expect(describeError(new Error(""), [])).toMatch(/WEIR_DEBUG=1/);
  });
});

describe("exitCodeOf", () => {
  it("is 2 for what the caller can mend and 1 for the rest", () => {
    const bad = [
      new UsageError("x"),
      new InvalidOptionsError("x"),
      new InvalidRequestError("x"),
      new ContextLengthError("x"),
      new ModelLoadError("x"),
    ];
    expect(bad.map(exitCodeOf)).toEqual(bad.map(() => 2));
    expect([new AbortedError("x"), new Error("x"), "x"].map(exitCodeOf)).toEqual([1, 1, 1]);
  });
});

import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { GenerateOptions } from "../contracts/index.js";
import { ContextLengthError, InvalidRequestError, WeirError } from "../errors/index.js";
import { validateGenerateOptions, type SamplingParams } from "./sampling-params.js";

const CONTEXT = { vocabSize: 1000, maxModelLen: 128, numPromptTokens: 28, randomSeed: () => 2 ** 40 + 5 };

const check = (options: unknown, context: Parameters<typeof validateGenerateOptions>[1] = CONTEXT): SamplingParams =>
  validateGenerateOptions(options as GenerateOptions, context);

describe("validateGenerateOptions", () => {
  it("fills every default in", () => {
    const { biasIds, biasValues, ...rest } = check({});
    expect(rest).toEqual({
      requestId: undefined,
      maxTokens: 100,
      minTokens: 0,
      temperature: 0,
      topK: 0,
      topP: 1,
      minP: 0,
      repetitionPenalty: 1,
      presencePenalty: 0,
      frequencyPenalty: 0,
      needsHistory: false,
      seedLow: 0,
      seedHigh: 0,
      stop: [],
      includeStopString: false,
      stopTokenIds: [],
      ignoreEos: false,
      numLogprobs: -1,
      fullLogits: false,
      logitsProcessors: [],
      skipSpecialTokens: true,
      specialTokensInPrompt: false,
      addSpecialTokens: true,
      priority: 0,
      deadlineMs: undefined,
      signal: undefined,
      bufferLimit: 256,
    });
    expect([biasIds, biasValues]).toEqual([new Int32Array(0), new Float32Array(0)]);
    expect(check(undefined)).toEqual(check({}));
    expect(Object.isFrozen(check({}))).toBe(true);
  });

  it("takes undefined for not given, and null for a wrong value", () => {
    for (const name of OPTION_NAMES) {
      expect(check({ [name]: undefined })).toEqual(check({}));
      expect(() => check({ [name]: null }), name).toThrow(InvalidRequestError);
    }
  });

  it("brings values into the form the step uses", () => {
    const processor = { name: "p", process: (): void => {} };
    const { signal } = new AbortController();
    const params = check({
      temperature: 0.7,
      seed: 2 ** 53 - 1,
      stop: "END",
      logprobs: 0,
      logitBias: { 7: -100, 3: 1.5, 999: -Infinity },
      logitsProcessors: [processor],
      frequencyPenalty: 0.1,
      deadlineMs: 0.5,
      signal,
    });
    expect(params).toMatchObject({
      seedLow: 2 ** 32 - 1,
      seedHigh: 2 ** 21 - 1,
      stop: ["END"],
      numLogprobs: 0,
      needsHistory: true,
      deadlineMs: 0.5,
    });
    expect([...params.biasIds]).toEqual([3, 7, 999]);
    expect([...params.biasValues]).toEqual([1.5, -100, -Infinity]);
    expect(params.logitsProcessors).toEqual([processor]);
    expect(params.signal).toBe(signal);
  });

  it("keeps nothing of the caller's arrays", () => {
    const stop = ["a"];
    const params = check({ stop });
    stop[0] = "b";
    expect(params.stop).toEqual(["a"]);
  });

  it("draws a seed when the request is not greedy and gives none", () => {
    expect(check({ temperature: 1 })).toMatchObject({ seedLow: 5, seedHigh: 256 });
    expect(check({ temperature: 1, seed: 0 })).toMatchObject({ seedLow: 0, seedHigh: 0 });
    const { randomSeed: _, ...withoutSeed } = CONTEXT;
    const seeds = Array.from({ length: 20 }, () => check({ temperature: 1 }, withoutSeed));
    expect(new Set(seeds.map((params) => params.seedLow)).size).toBeGreaterThan(15);
    expect(seeds.every((params) => params.seedHigh < 2 ** 21)).toBe(true);
  });

  it("makes temperatures below 1e-5 greedy, the one documented exception to refusing", () => {
    expect(check({ temperature: 1e-30 })).toMatchObject({ temperature: 0, seedLow: 0 });
    expect(check({ temperature: 1e-5 }).temperature).toBe(1e-5);
  });
});

describe("validateGenerateOptions and the context", () => {
  it("lets maxTokens fill the context to the last token and no further", () => {
    expect(check({ maxTokens: 100 }).maxTokens).toBe(100);
    expect(() => check({ maxTokens: 101 })).toThrow(ContextLengthError);
    expect(() => check({ maxTokens: 101 })).toThrow("ask for at most 100");
    expect(() => check({ maxTokens: 1e308 })).toThrow(ContextLengthError);
  });

  it("gives a prompt of context - 1 one token, and refuses one that fills the context", () => {
    expect(check({}, { ...CONTEXT, numPromptTokens: 127 }).maxTokens).toBe(1);
    for (const numPromptTokens of [128, 129]) expect(() => check({}, { ...CONTEXT, numPromptTokens })).toThrow(ContextLengthError);
  });

  it("leaves maxTokens open while the prompt's length is unknown", () => {
    const { numPromptTokens: _, ...open } = CONTEXT;
    expect(check({}, open).maxTokens).toBeUndefined();
    expect(check({ maxTokens: 127, minTokens: 127 }, open)).toMatchObject({ maxTokens: 127, minTokens: 127 });
    expect(() => check({ maxTokens: 128 }, open)).toThrow(ContextLengthError);
    expect(() => check({ minTokens: 128 }, open)).toThrow(InvalidRequestError);
  });
});

describe("validateGenerateOptions refuses", () => {
  const big = "x".repeat(1 << 20);
  const refused: [object, string][] = [
    [{ maxTokens: 0 }, "maxTokens is 0; it takes a whole number from 1"],
    [{ maxTokens: -1 }, "maxTokens is -1"],
    [{ maxTokens: 1.5 }, "maxTokens is 1.5"],
    [{ maxTokens: "5" }, 'maxTokens is "5"'],
    [{ maxTokens: 5, minTokens: 6 }, "minTokens is 6; it takes a whole number from 0 to 5"],
    [{ minTokens: 101 }, "minTokens is 101; it takes a whole number from 0 to 100"],
    [{ temperature: -1 }, "temperature is -1; it takes a number from 0 to 100"],
    [{ temperature: NaN }, "temperature is NaN"],
    [{ temperature: 1e30 }, "temperature is 1e+30"],
    [{ topP: 0 }, "topP is 0; it takes a number above 0, up to 1"],
    [{ topP: 1e-60 }, "topP is 1e-60"],
    [{ topP: 2 }, "topP is 2"],
    [{ topK: -2 }, "topK is -2; it takes a whole number from 0 to 1000 (0 is off"],
    [{ topK: 2 ** 31 }, "topK is 2147483648"],
    [{ minP: 1.01 }, "minP is 1.01"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty is 0"],
    [{ repetitionPenalty: 1e9 }, "repetitionPenalty is 1000000000"],
    [{ presencePenalty: -1e9 }, "presencePenalty is -1000000000; it takes a number from -2 to 2"],
    [{ frequencyPenalty: 2.1 }, "frequencyPenalty is 2.1"],
    [{ seed: 2 ** 64 }, "seed is 18446744073709552000; it takes a whole number from 0 to 9007199254740991"],
    [{ seed: 5n }, "seed is the bigint 5"],
    [{ logprobs: 1e6 }, "logprobs is 1000000; it takes a whole number from 0 to 64"],
    [{ logprobs: true }, "logprobs is true"],
    [{ logitBias: { 5: NaN } }, "logitBias[5] is NaN"],
    [{ logitBias: { 5: Infinity } }, "logitBias[5] is Infinity"],
    [{ logitBias: { 5: 101 } }, "logitBias[5] is 101; it takes a number from -100 to 100 (or -Infinity"],
    [{ logitBias: { 1000: 1 } }, 'a key of logitBias is "1000"; it takes a token id from 0 to 999'],
    [{ logitBias: { "01": 1 } }, 'a key of logitBias is "01"'],
    [{ logitBias: JSON.parse('{"__proto__": 1}') }, 'a key of logitBias is "__proto__"'],
    [{ logitBias: Object.fromEntries(Array.from({ length: 1025 }, (_, i) => [i, -100])) }, "logitBias has 1025 entries; at most 1024"],
    [{ logitBias: new Map([[1, 2]]) }, "logitBias is an object; it takes an object of token id: bias"],
    [{ logitBias: [1] }, "logitBias is an array of 1"],
    [{ stop: "" }, 'stop is ""; it takes strings of 1 to 512 characters'],
    [{ stop: ["a", ""] }, 'stop[1] is ""'],
    [{ stop: Array.from({ length: 10_000 }, () => "x") }, "stop has 10000 strings; at most 16"],
    [{ stop: big }, "(1048576 characters); it takes strings of 1 to 512"],
    [{ stop: new Array(3) }, "stop[0] is undefined"],
    [{ stopTokenIds: [1000] }, "stopTokenIds[0] is 1000; it takes a whole number from 0 to 999"],
    [{ stopTokenIds: 5 }, "stopTokenIds is 5; it takes an array of up to 64 token ids"],
    [{ logitsProcessors: [{}] }, "logitsProcessors[0] is an object; it takes an object with name and process()"],
    [{ ignoreEos: "yes" }, 'ignoreEos is "yes"; it takes true or false'],
    [{ priority: 2 ** 31 }, "priority is 2147483648"],
    [{ deadlineMs: 0 }, "deadlineMs is 0; it takes a number above 0"],
    [{ deadlineMs: Infinity }, "deadlineMs is Infinity"],
    [{ bufferLimit: 0 }, "bufferLimit is 0; it takes a whole number from 1 to 65536"],
    [{ requestId: "" }, 'requestId is ""; it takes a string of 1 to 256 characters'],
    [{ signal: {} }, "signal is an object; it takes an AbortSignal"],
  ];

  it.each(refused)("%o", (options, message) => {
    expect(() => check(options)).toThrow(InvalidRequestError);
    expect(() => check(options)).toThrow(message);
  });

  it.each([
    ["max_tokens", "; did you mean maxTokens?"],
    ["top_p", "; did you mean topP?"],
    ["Temperature", "; did you mean temperature?"],
    ["n", ""],
    ["best_of", ""],
    ["__proto__", ""],
    ["x".repeat(1 << 20), ""],
  ])("the unknown option %.20s", (name, hint) => {
    const options: unknown = JSON.parse(`{${JSON.stringify(name)}: 1}`);
    let message = "";
    try {
      check(options);
    } catch (error) {
      expect(error).toBeInstanceOf(InvalidRequestError);
      message = (error as Error).message;
    }
    expect(message).toMatch(/^there is no option "/);
    expect(message.endsWith("?") ? message.slice(message.indexOf(";")) : "").toBe(hint);
    expect(message.length).toBeLessThan(200);
  });

  it.each([null, 5, "text", [], true])("%j in place of options", (options) => {
    expect(() => check(options)).toThrow(InvalidRequestError);
  });

  it("nothing that the docstrings allow", () => {
    const ends: object[] = [
      { maxTokens: 1, minTokens: 1 },
      { temperature: 100, topK: 1000, topP: 1, minP: 1, repetitionPenalty: 10 },
      { topP: 1e-30, repetitionPenalty: 1e-30, presencePenalty: -2, frequencyPenalty: 2 },
      { stop: Array.from({ length: 16 }, () => "🙂".repeat(256)), stopTokenIds: Array.from({ length: 64 }, (_, i) => i) },
      { logprobs: 64, priority: -(2 ** 31), bufferLimit: 65_536, deadlineMs: 1e9, requestId: "r".repeat(256) },
      { logitBias: Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [i, -Infinity])) },
    ];
    for (const options of ends) expect(() => check(options)).not.toThrow();
  });
});

const OPTION_NAMES = (
  "requestId maxTokens minTokens temperature topK topP minP repetitionPenalty presencePenalty " +
  "frequencyPenalty seed stop includeStopString stopTokenIds ignoreEos logprobs fullLogits " +
  "logitBias logitsProcessors skipSpecialTokens specialTokensInPrompt addSpecialTokens priority deadlineMs signal bufferLimit"
).split(" ");

describe("validateGenerateOptions under fuzzing", () => {
  const numbers = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constantFrom(0, -0, 1, -1, 2 ** 31, 2 ** 53, 1e308, 5e-324, NaN, Infinity, -Infinity),
  );
  const value = fc.oneof(
    numbers,
    fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true, withSparseArray: true, withTypedArray: true }),
    fc.array(fc.oneof(fc.string(), numbers), { maxLength: 20 }),
    fc.dictionary(fc.oneof(fc.nat(1100).map(String), fc.string()), numbers, { maxKeys: 5 }),
  );
  const options = fc.oneof(
    fc.dictionary(fc.constantFrom(...OPTION_NAMES), value, { maxKeys: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...OPTION_NAMES), fc.string()), value, { maxKeys: 3 }),
    value,
  );

  it("gives parameters in range or a typed error with a short message, and nothing else", () => {
    let accepted = 0;
    fc.assert(
      fc.property(options, (given) => {
        try {
          expectInRange(check(given));
          accepted++;
        } catch (error) {
          if (!WeirError.isInstance(error)) throw error;
          expect(["invalid_request", "context_length"]).toContain(error.code);
          expect(error.message.length).toBeLessThan(400);
        }
      }),
      { numRuns: 10_000 },
    );
    expect(accepted).toBeGreaterThan(500);
  });
});

function expectInRange(params: SamplingParams): void {
  const inside = (value: number, min: number, max: number): boolean => value >= min && value <= max;
  const whole = (value: number, min: number, max: number): boolean => Number.isInteger(value) && inside(value, min, max);
  const every = (values: Iterable<number>, test: (value: number) => boolean): boolean => [...values].every(test);
  expect({
    maxTokens: whole(params.maxTokens!, 1, 100),
    minTokens: whole(params.minTokens, 0, params.maxTokens!),
    temperature: params.temperature === 0 || inside(params.temperature, 9.9e-6, 100),
    topK: whole(params.topK, 0, 1000),
    topP: inside(Math.fround(params.topP), 1e-45, 1),
    minP: inside(params.minP, 0, 1),
    repetitionPenalty: inside(Math.fround(params.repetitionPenalty), 1e-45, 10),
    penalties: inside(params.presencePenalty, -2, 2) && inside(params.frequencyPenalty, -2, 2),
    seed: whole(params.seedLow, 0, 2 ** 32 - 1) && whole(params.seedHigh, 0, 2 ** 21 - 1),
    stop: params.stop.length <= 16 && params.stop.every((text) => text.length >= 1 && text.length <= 512),
    stopTokenIds: params.stopTokenIds.length <= 64 && every(params.stopTokenIds, (id) => whole(id, 0, 999)),
    numLogprobs: whole(params.numLogprobs, -1, 64),
    bias:
      every(params.biasIds, (id) => whole(id, 0, 999)) && every(params.biasValues, (bias) => bias === -Infinity || inside(bias, -100, 100)),
    flags: [params.ignoreEos, params.fullLogits, params.includeStopString, params.skipSpecialTokens].every(
      (flag) => typeof flag === "boolean",
    ),
    priority: whole(params.priority, -(2 ** 31), 2 ** 31 - 1),
    deadlineMs: params.deadlineMs === undefined || inside(params.deadlineMs, 1e-46, Number.MAX_SAFE_INTEGER),
    bufferLimit: whole(params.bufferLimit, 1, 65_536),
  }).toEqual(
    Object.fromEntries(
      ["maxTokens", "minTokens", "temperature", "topK", "topP", "minP", "repetitionPenalty", "penalties", "seed", "stop", "stopTokenIds"]
        .concat(["numLogprobs", "bias", "flags", "priority", "deadlineMs", "bufferLimit"])
        .map((name) => [name, true]),
    ),
  );
}

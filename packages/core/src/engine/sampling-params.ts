/**
 * SamplingParams: a request's options, checked and complete. GenerateOptions from a caller in, frozen parameters out;
 * every bad value is a typed error that says which, what was seen and what is allowed. Nothing is clamped, but for
 * temperatures below 1e-5, which are greedy by definition. Called by the engine once per request.
 */
import { MAX_LOGPROBS } from "../contracts/model-input.js";
import type { GenerateOptions } from "../contracts/generate-options.js";
import type { LogitsProcessor } from "../contracts/sampler.js";
import { ContextLengthError, InvalidRequestError } from "../errors/index.js";
import { GREEDY_BELOW } from "../sampling/default-sampler.js";
import { checkLogitBias, checkLogitsProcessors, checkStop, checkStopTokenIds } from "./list-options.js";
import { nearestName } from "./nearest-name.js";
import { booleanOption, checkNumber, describeValue, invalidOption, numberOption } from "./option-checks.js";

/** GenerateOptions with every default filled in, in the form that step and stream use. */
export interface SamplingParams {
  /** Undefined: the engine makes one. */
  readonly requestId: string | undefined;
  /** Undefined: as many as fit; only when the prompt's length was not known. */
  readonly maxTokens: number | undefined;
  readonly minTokens: number;
  /** 0 = greedy. */
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  /** A penalty is on: the sampler needs the ids so far. */
  readonly needsHistory: boolean;
  /** u32 halves of the 53-bit seed. */
  readonly seedLow: number;
  readonly seedHigh: number;
  readonly stop: readonly string[];
  readonly includeStopString: boolean;
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  /** -1 = no logprobs, 0 = of the chosen token, n = also of the n best. */
  readonly numLogprobs: number;
  readonly fullLogits: boolean;
  /** [n] i32 and [n] f32, ascending ids; do not change. */
  readonly biasIds: Int32Array;
  readonly biasValues: Float32Array;
  readonly logitsProcessors: readonly LogitsProcessor[];
  readonly skipSpecialTokens: boolean;
  readonly specialTokensInPrompt: boolean;
  readonly addSpecialTokens: boolean;
  readonly priority: number;
  /** Undefined: none. */
  readonly deadlineMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly bufferLimit: number;
}

export interface SamplingContext {
  readonly vocabSize: number;
  readonly maxModelLen: number;
  /** Absent while the prompt is not tokenized yet: whether maxTokens fits after it is then the caller's to check. */
  readonly numPromptTokens?: number;
  /** The seed of requests that give none and are not greedy, 0 to 2^53 - 1. Default: from the platform's crypto. */
  readonly randomSeed?: () => number;
}

/**
 * Checks and completes a request's options.
 * @throws InvalidRequestError for a wrong value or an unknown name, ContextLengthError when prompt and maxTokens do not fit
 */
export function validateGenerateOptions(options: GenerateOptions | undefined, context: SamplingContext): SamplingParams {
  const given = checkNames(options);
  const maxTokens = checkMaxTokens(given.maxTokens, context);
  const temperature = numberOption("temperature", given.temperature, { min: 0, max: 100, note: "0 is greedy" }, 0);
  const seed = checkSeed(given.seed, temperature >= GREEDY_BELOW, context);
  const penalties = checkPenalties(given);
  return Object.freeze({
    requestId: checkRequestId(given.requestId),
    maxTokens,
    minTokens: checkMinTokens(given.minTokens, maxTokens ?? context.maxModelLen - 1),
    temperature: temperature < GREEDY_BELOW ? 0 : temperature,
    topK: numberOption("topK", given.topK, { min: 0, max: context.vocabSize, integer: true, note: "0 is off; at most the vocabulary" }, 0),
    topP: numberOption("topP", given.topP, { above: 0, max: 1, note: "1 is off" }, 1),
    minP: numberOption("minP", given.minP, { min: 0, max: 1, note: "0 is off" }, 0),
    ...penalties,
    needsHistory: penalties.repetitionPenalty !== 1 || penalties.presencePenalty !== 0 || penalties.frequencyPenalty !== 0,
    seedLow: seed % 2 ** 32,
    seedHigh: Math.floor(seed / 2 ** 32),
    stop: checkStop(given.stop),
    includeStopString: booleanOption("includeStopString", given.includeStopString, false),
    stopTokenIds: checkStopTokenIds(given.stopTokenIds, context.vocabSize),
    ignoreEos: booleanOption("ignoreEos", given.ignoreEos, false),
    numLogprobs: numberOption("logprobs", given.logprobs, { min: 0, max: Math.min(MAX_LOGPROBS, context.vocabSize), integer: true }, -1),
    fullLogits: booleanOption("fullLogits", given.fullLogits, false),
    ...checkLogitBias(given.logitBias, context.vocabSize),
    logitsProcessors: checkLogitsProcessors(given.logitsProcessors),
    skipSpecialTokens: booleanOption("skipSpecialTokens", given.skipSpecialTokens, true),
    specialTokensInPrompt: booleanOption("specialTokensInPrompt", given.specialTokensInPrompt, false),
    addSpecialTokens: booleanOption("addSpecialTokens", given.addSpecialTokens, true),
    priority: numberOption("priority", given.priority, { min: -(2 ** 31), max: 2 ** 31 - 1, integer: true }, 0),
    deadlineMs: numberOption("deadlineMs", given.deadlineMs, { above: 0, max: Number.MAX_SAFE_INTEGER }, undefined),
    signal: checkSignal(given.signal),
    bufferLimit: numberOption("bufferLimit", given.bufferLimit, { min: 1, max: 65_536, integer: true }, 256),
  });
}

type Given = { readonly [K in keyof GenerateOptions]: unknown };

/** Typed so that a new option cannot be forgotten here. */
const NAMES: readonly string[] = Object.keys({
  requestId: true,
  maxTokens: true,
  minTokens: true,
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  seed: true,
  stop: true,
  includeStopString: true,
  repetitionPenalty: true,
  presencePenalty: true,
  frequencyPenalty: true,
  stopTokenIds: true,
  ignoreEos: true,
  logprobs: true,
  fullLogits: true,
  logitBias: true,
  logitsProcessors: true,
  skipSpecialTokens: true,
  specialTokensInPrompt: true,
  addSpecialTokens: true,
  priority: true,
  deadlineMs: true,
  signal: true,
  bufferLimit: true,
} satisfies Record<keyof GenerateOptions, true>);

function checkNames(options: unknown = {}): Given {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalidOption("options", options, "an object of GenerateOptions");
  }
  for (const key of Object.keys(options)) {
    if (NAMES.includes(key)) continue;
    const nearest = nearestName(key.slice(0, 64), NAMES);
    throw new InvalidRequestError(`there is no option ${describeValue(key)}${nearest ? `; did you mean ${nearest}?` : ""}`);
  }
  return options as Given;
}

function checkMaxTokens(value: unknown, { maxModelLen, numPromptTokens }: SamplingContext): number | undefined {
  const room = maxModelLen - (numPromptTokens ?? 1);
  if (room < 1) {
    throw new ContextLengthError(
      `the prompt has ${numPromptTokens} tokens and the context holds ${maxModelLen}, output included; shorten the prompt or raise maxModelLen`,
    );
  }
  const fallback = numPromptTokens === undefined ? undefined : room;
  const maxTokens = numberOption(
    "maxTokens",
    value,
    { min: 1, max: Number.MAX_VALUE, integer: true, note: "default: what fits" },
    fallback,
  );
  if (maxTokens !== undefined && maxTokens > room) {
    const prompt = numPromptTokens === undefined ? "any prompt" : `a prompt of ${numPromptTokens} tokens`;
    throw new ContextLengthError(
      `maxTokens is ${maxTokens} after ${prompt}, and the context holds ${maxModelLen}; ask for at most ${room}, shorten the prompt or raise maxModelLen`,
    );
  }
  return maxTokens;
}

function checkMinTokens(value: unknown, maxTokens: number): number {
  return numberOption("minTokens", value, { min: 0, max: maxTokens, integer: true, note: "at most maxTokens" }, 0);
}

function checkPenalties(given: Given): Pick<SamplingParams, "repetitionPenalty" | "presencePenalty" | "frequencyPenalty"> {
  const range = { min: -2, max: 2, note: "0 is off" };
  return {
    repetitionPenalty: numberOption("repetitionPenalty", given.repetitionPenalty, { above: 0, max: 10, note: "1 is off" }, 1),
    presencePenalty: numberOption("presencePenalty", given.presencePenalty, range, 0),
    frequencyPenalty: numberOption("frequencyPenalty", given.frequencyPenalty, range, 0),
  };
}

function checkSeed(value: unknown, needed: boolean, context: SamplingContext): number {
  if (value !== undefined) return checkNumber("seed", value, { min: 0, max: Number.MAX_SAFE_INTEGER, integer: true });
  return needed ? (context.randomSeed ?? cryptoSeed)() : 0;
}

function cryptoSeed(): number {
  const [low, high] = globalThis.crypto.getRandomValues(new Uint32Array(2));
  return (high! & 0x1fffff) * 2 ** 32 + low!;
}

/** Long ids would travel with every event. */
const MAX_REQUEST_ID = 256;

function checkRequestId(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || value.length === 0 || value.length > MAX_REQUEST_ID) {
    throw invalidOption("requestId", value, `a string of 1 to ${MAX_REQUEST_ID} characters`);
  }
  return value;
}

/** By its members, not its class: signals of other realms and polyfills are signals. */
function checkSignal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  const signal = value as AbortSignal | null;
  if (typeof signal?.aborted !== "boolean" || typeof signal.addEventListener !== "function") {
    throw invalidOption("signal", value, "an AbortSignal");
  }
  return signal;
}

/**
 * Checks of the request options that hold several values: stop strings and ids, logit bias, logits processors.
 * Counts are checked before elements, so that a huge list costs nothing. Called by sampling-params.ts.
 */
import type { LogitsProcessor } from "../contracts/sampler.js";
import { InvalidRequestError } from "../errors/index.js";
import { arrayOption, checkNumber, invalidOption } from "./option-checks.js";

const MAX_STOP_STRINGS = 16;
const MAX_STOP_LENGTH = 512;
const MAX_STOP_TOKEN_IDS = 64;
const MAX_BIASES = 1024;
const MAX_PROCESSORS = 64;

export interface LogitBias {
  readonly biasIds: Int32Array;
  readonly biasValues: Float32Array;
}

export function checkStop(value: unknown): readonly string[] {
  const strings = typeof value === "string" ? [value] : arrayOption("stop", value, MAX_STOP_STRINGS, "strings");
  return Object.freeze(
    strings.map((text, i) => {
      if (typeof text === "string" && text.length >= 1 && text.length <= MAX_STOP_LENGTH) return text;
      throw invalidOption(typeof value === "string" ? "stop" : `stop[${i}]`, text, `strings of 1 to ${MAX_STOP_LENGTH} characters`);
    }),
  );
}

export function checkStopTokenIds(value: unknown, vocabSize: number): readonly number[] {
  const ids = arrayOption("stopTokenIds", value, MAX_STOP_TOKEN_IDS, "token ids");
  return Object.freeze(ids.map((id, i) => checkNumber(`stopTokenIds[${i}]`, id, { min: 0, max: vocabSize - 1, integer: true })));
}

/** Pairs in ascending id order; a ban is -Infinity. */
export function checkLogitBias(value: unknown, vocabSize: number): LogitBias {
  if (value !== undefined && !isPlainObject(value)) throw invalidOption("logitBias", value, "an object of token id: bias");
  const entries = Object.entries(value ?? {});
  if (entries.length > MAX_BIASES) {
    throw new InvalidRequestError(`logitBias has ${entries.length} entries; at most ${MAX_BIASES} are allowed`);
  }
  const biasIds = new Int32Array(entries.length);
  const biasValues = new Float32Array(entries.length);
  entries.forEach(([key, bias], i) => {
    const id = Number(key);
    // The spelling must be the number's own: no signs, spaces or leading zeros.
    if (!Number.isInteger(id) || id < 0 || id >= vocabSize || String(id) !== key) {
      throw invalidOption("a key of logitBias", key, `a token id from 0 to ${vocabSize - 1}`);
    }
    biasIds[i] = id;
    const range = { min: -100, max: 100, note: "or -Infinity, to ban the token" };
    biasValues[i] = bias === -Infinity ? -Infinity : checkNumber(`logitBias[${id}]`, bias, range);
  });
  return { biasIds, biasValues };
}

export function checkLogitsProcessors(value: unknown): readonly LogitsProcessor[] {
  const processors = arrayOption("logitsProcessors", value, MAX_PROCESSORS, "processors");
  return Object.freeze(
    processors.map((processor, i) => {
      if (typeof (processor as LogitsProcessor | null | undefined)?.process === "function") return processor as LogitsProcessor;
      throw invalidOption(`logitsProcessors[${i}]`, processor, "an object with name and process()");
    }),
  );
}

/** A Map or a class instance has no keys to read and would be ignored in silence. */
function isPlainObject(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * One row's sampling parameters into a step's SamplingInput: constants, counter, history for penalties, and biases,
 * to which `minTokens` is lowered: while it holds, every stop id has the bias -Infinity.
 */
import type { SamplingInput } from "../contracts/index.js";
import type { EngineRequest } from "./request.js";

/** @param shared where grown buffers are allocated */
export function writeRowSampling(sampling: SamplingInput, row: number, request: EngineRequest, shared: boolean): void {
  const { params } = request;
  sampling.temperature[row] = params.temperature;
  sampling.topK[row] = params.topK;
  sampling.topP[row] = params.topP;
  sampling.minP[row] = params.minP;
  sampling.repetitionPenalty[row] = params.repetitionPenalty;
  sampling.presencePenalty[row] = params.presencePenalty;
  sampling.frequencyPenalty[row] = params.frequencyPenalty;
  sampling.seed[2 * row] = params.seedLow;
  sampling.seed[2 * row + 1] = params.seedHigh;
  sampling.counter[row] = request.numOutputTokens;
  sampling.numLogprobs[row] = params.numLogprobs;
  writeHistory(sampling, row, request, shared);
  writeBiases(sampling, row, request, shared);
}

/** The same biases on a row of logits itself: before users' processors, whose rows carry none. */
export function applyBiases(logits: Float32Array, request: EngineRequest): void {
  const { biasIds, biasValues } = request.params;
  for (let i = 0; i < biasIds.length; i++) logits[biasIds[i]!]! += biasValues[i]!;
  for (const id of bannedIds(request)) logits[id] = -Infinity;
}

function writeHistory(sampling: SamplingInput, row: number, request: EngineRequest, shared: boolean): void {
  const { params, sequence } = request;
  const start = sampling.cuHistory[row]!;
  const needed = params.needsHistory ? sequence.numTokens : 0;
  if (start + needed > sampling.historyIds.length) {
    sampling.historyIds = grown(sampling.historyIds, start + needed, Int32Array, shared);
  }
  for (let i = 0; i < needed; i++) sampling.historyIds[start + i] = sequence.tokenIds[i]!;
  sampling.cuHistory[row + 1] = start + needed;
  sampling.promptLens[row] = needed === 0 ? 0 : sequence.numPromptTokens;
}

function writeBiases(sampling: SamplingInput, row: number, request: EngineRequest, shared: boolean): void {
  const { biasIds, biasValues } = request.params;
  let at = sampling.cuBias[row]!;
  if (!request.hasProcessors) {
    const banned = bannedIds(request);
    const end = at + biasIds.length + banned.length;
    if (end > sampling.biasIds.length) {
      sampling.biasIds = grown(sampling.biasIds, end, Int32Array, shared);
      sampling.biasValues = grown(sampling.biasValues, end, Float32Array, shared);
    }
    sampling.biasIds.set(biasIds, at);
    sampling.biasValues.set(biasValues, at);
    at += biasIds.length;
    for (let i = 0; i < banned.length; i++, at++) {
      sampling.biasIds[at] = banned[i]!;
      sampling.biasValues[at] = -Infinity;
    }
  }
  sampling.cuBias[row + 1] = at;
}

const NOTHING_BANNED: readonly number[] = [];

function bannedIds(request: EngineRequest): readonly number[] {
  return request.numOutputTokens < request.params.minTokens ? request.stopIds : NOTHING_BANNED;
}

type Grown<A> = new (buffer: ArrayBuffer) => A;

function grown<A extends Int32Array | Float32Array>(old: A, needed: number, Type: Grown<A>, shared: boolean): A {
  const bytes = Math.max(needed, old.length * 2) * 4;
  // As in step-buffers: readers do not care which kind of buffer it is.
  const larger = new Type(shared ? (new SharedArrayBuffer(bytes) as unknown as ArrayBuffer) : new ArrayBuffer(bytes));
  larger.set(old);
  return larger;
}

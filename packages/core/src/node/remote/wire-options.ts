/**
 * A request's options across the boundary: checked parameters to plain JSON at the host, and back to GenerateOptions,
 * which the child's engine checks again. Every default is filled in, the seed too: a replay draws the same numbers.
 */
import type { GenerateOptions } from "../../contracts/index.js";
import type { SamplingParams } from "../../engine/sampling-params.js";
import { NotSupportedError } from "../../errors/index.js";
import type { WireOptions } from "./messages.js";

/**
 * @throws NotSupportedError for logits processors, which are code
 */
export function toWireOptions(params: SamplingParams): WireOptions {
  if (params.logitsProcessors.length > 0) {
    throw new NotSupportedError(
      "logitsProcessors are functions and the engine runs in another process; give them to the engine's sampler in the module that makes it",
    );
  }
  return {
    maxTokens: params.maxTokens ?? null,
    minTokens: params.minTokens,
    temperature: params.temperature,
    topK: params.topK,
    topP: params.topP,
    minP: params.minP,
    repetitionPenalty: params.repetitionPenalty,
    presencePenalty: params.presencePenalty,
    frequencyPenalty: params.frequencyPenalty,
    seed: params.seedHigh * 2 ** 32 + params.seedLow,
    stop: params.stop,
    includeStopString: params.includeStopString,
    stopTokenIds: params.stopTokenIds,
    ignoreEos: params.ignoreEos,
    logprobs: params.numLogprobs < 0 ? null : params.numLogprobs,
    fullLogits: params.fullLogits,
    logitBias: Array.from(params.biasIds, (id, i) => [id, finiteOrNull(params.biasValues[i]!)] as const),
    skipSpecialTokens: params.skipSpecialTokens,
    specialTokensInPrompt: params.specialTokensInPrompt,
    addSpecialTokens: params.addSpecialTokens,
    priority: params.priority,
  };
}

export function fromWireOptions(wire: WireOptions, requestId: string): GenerateOptions {
  const { maxTokens, logprobs, logitBias, ...same } = wire;
  return {
    ...same,
    requestId,
    ...(maxTokens === null ? {} : { maxTokens }),
    ...(logprobs === null ? {} : { logprobs }),
    logitBias: Object.fromEntries(logitBias.map(([id, bias]) => [id, bias ?? -Infinity])),
  };
}

/** JSON has no infinities; the only one that occurs is a ban. */
export function finiteOrNull(value: number): number | null {
  return value === -Infinity ? null : value;
}

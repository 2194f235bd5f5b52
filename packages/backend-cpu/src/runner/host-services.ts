/**
 * What the runner's worker may ask of the caller's thread: bytes of a WeightSource that has no locator,
 * and a Quantizer that has no module. Plug-ins with a locator or module never come here.
 */
import type { Quantizer, WeightSource } from "@weir/core";
import type { HostCall, QuantizerAccess, WeightsAccess } from "./messages.js";

/** How the worker will reach `weights`. */
export function weightsAccess(weights: WeightSource): WeightsAccess {
  return weights.locator
    ? { kind: "locator", locator: weights.locator }
    : { kind: "host", identity: weights.identity, tensors: [...weights.tensors.values()] };
}

export function quantizerAccess(quantizer: Quantizer): QuantizerAccess {
  const { scheme, algorithm, version, module } = quantizer;
  return { scheme, algorithm, version, ...(module ? { module } : {}) };
}

/** Answers one call; `into` is shared memory, so a read needs no reply value. */
export async function serveHostCall(call: HostCall, weights: WeightSource, quantizer: Quantizer): Promise<unknown> {
  if (call.method === "read-tensor") return weights.read(call.name, call.byteOffset, call.into);
  if (call.method === "dequantize") return quantizer.dequantize(call.linear);
  const { name, outFeatures, inFeatures, weight, stats } = call;
  return quantizer.quantize({ name, outFeatures, inFeatures, weight }, stats);
}

/** Whether a child that says it is ready may serve: it speaks this protocol and runs the model that its forerunners ran. */
import type { EngineInfo } from "../../contracts/index.js";
import { InvalidOptionsError, ModelLoadError } from "../../errors/index.js";
import { PROTOCOL_VERSION, type ToHost } from "./messages.js";

/**
 * @param before of the children before it
 * @returns why it may not
 */
export function unfitness(
  { protocol, info }: Extract<ToHost, { readonly type: "ready" }>,
  before: EngineInfo | undefined,
): Error | undefined {
  return protocol === PROTOCOL_VERSION ? changeOf(before, info) : otherProtocol(protocol);
}

/** Tokens of one request must not come from two models. */
function changeOf(before: EngineInfo | undefined, after: EngineInfo): Error | undefined {
  for (const key of ["model", "architecture", "vocabSize", "backend", "weightScheme", "kvDtype"] as const) {
    if (before && before[key] !== after[key])
      return new ModelLoadError(`${key} was ${before[key]} and is ${after[key]}: the model changed`);
  }
  return undefined;
}

function otherProtocol(protocol: number): Error {
  return new InvalidOptionsError(
    `the engine's process speaks version ${protocol} of the protocol and this one ${PROTOCOL_VERSION}; use the same version of @weir/core in both`,
  );
}

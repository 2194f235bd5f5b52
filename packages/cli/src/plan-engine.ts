/**
 * The plan that an engine would make of a model and the flags, by making one over a backend that loads nothing:
 * the same choices and the same refusals as `weir run`, in milliseconds. Called by `weir inspect`.
 */
import {
  createEngine,
  InternalError,
  type Backend,
  type EngineInfo,
  type LoadedModel,
  type ModelLimits,
  type ModelRunner,
  type ModelSpec,
} from "@weir/core";
import { chooseBackend, engineChoice } from "./engine-flags.js";
import type { ParsedFlags } from "./flags.js";

/** @throws InvalidOptionsError, UsageError */
export async function planEngine(flags: ParsedFlags, model: LoadedModel): Promise<EngineInfo> {
  const choice = engineChoice(flags);
  const engine = await createEngine({ model, backend: planningBackend(await chooseBackend(choice)), ...choice.options });
  await engine.dispose();
  return engine.info;
}

function planningBackend({ name, apiVersion, capabilities }: Backend): Backend {
  return {
    name,
    apiVersion,
    capabilities,
    loadModel: async (spec, _weights, { limits }) => idleRunner(spec, limits),
    dispose: async () => {},
  };
}

function idleRunner(spec: ModelSpec, limits: ModelLimits): ModelRunner {
  const refuse = async (): Promise<never> => {
    throw new InternalError("a planned engine runs nothing");
  };
  return {
    spec,
    limits,
    blockBytes: 0,
    kvLayout: "none",
    execute: refuse,
    copyBlocks: refuse,
    readBlocks: refuse,
    writeBlocks: refuse,
    memory: () => ({ weightBytes: 0, kvReservedBytes: 0, kvCommittedBytes: 0 }),
    dispose: async () => {},
  };
}

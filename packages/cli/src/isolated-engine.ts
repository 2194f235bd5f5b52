/** The module that `--isolate` names: makes, in a child process, the engine that the flags ask for. */
import type { LLMEngine } from "@weir/core";
import type { ChildLoad } from "@weir/core/node";
import { type EngineChoice, makeEngine } from "./engine-flags.js";

export function createEngine({ model, ...choice }: EngineChoice & { readonly model: string }, load: ChildLoad): Promise<LLMEngine> {
  return makeEngine(choice, { model, ...load });
}

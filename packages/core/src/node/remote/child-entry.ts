/**
 * The process that `remoteEngine({ module })` starts: imports the module that the first message names, and serves the
 * engine that its `createEngine` (or default) export makes.
 */
import { ModelLoadError } from "../../errors/index.js";
import type { LLMEngine } from "../../engine/llm-engine.js";
import { serve, type ChildLoad, type EngineFactory, type Init } from "./serve-engine.js";

serve(async ({ module, options }: Init, load: ChildLoad): Promise<LLMEngine> => {
  if (module === null) throw new ModelLoadError("no module was named that makes the engine");
  const exports = (await import(module)) as { readonly createEngine?: unknown; readonly default?: unknown };
  const factory = exports.createEngine ?? exports.default;
  if (typeof factory !== "function") throw new ModelLoadError(`${module} exports no function createEngine, and none by default`);
  return (factory as EngineFactory)(options as never, load);
});

/** createEngine: options in, a running engine out. The plain way; `@weir/core/di` adds tsyringe containers. */
import { PlainResolver } from "../di/resolver.js";
import { composeEngine } from "./compose.js";
import type { EngineOptions } from "./engine-options.js";
import type { LLMEngine } from "./llm-engine.js";
import { requireBackend, validateEngineOptions } from "./validate-engine-options.js";

/**
 * Opens a model and makes an engine for it. Dispose it with `await engine.dispose()` or `await using`.
 *
 * @throws InvalidOptionsError before anything is allocated; ModelLoadError, BackendUnavailableError, AbortedError,
 *   or what a factory throws. Nothing is left behind then.
 * @example
 * await using engine = await createEngine({ model: "./my-model", backend: cpuBackend() });
 * console.log(await engine.generate("To be", { maxTokens: 20 }).text());
 */
export async function createEngine(options: EngineOptions): Promise<LLMEngine> {
  validateEngineOptions(options);
  requireBackend(options);
  return composeEngine(options, new PlainResolver());
}

/** createEngine for tsyringe users: the plain one, with a container to take services from. */
import type { DependencyContainer } from "tsyringe";
import { composeEngine } from "../engine/compose.js";
import type { EngineOptions } from "../engine/engine-options.js";
import type { LLMEngine } from "../engine/llm-engine.js";
import { validateEngineOptions } from "../engine/validate-engine-options.js";
import { InvalidOptionsError } from "../errors/index.js";
import { ContainerResolver } from "./container-resolver.js";
import { BACKEND } from "./tokens.js";

export interface ContainerEngineOptions extends Omit<EngineOptions, "backend"> {
  /** Default: what the container has for BACKEND. */
  readonly backend?: EngineOptions["backend"];
  /**
   * Answers the tokens of this entry that it has registrations for. The engine resolves from a child of it. What the
   * container makes stays the container's to dispose.
   */
  readonly container: DependencyContainer;
}

/**
 * @throws as `createEngine` of `@weir/core`
 * @example
 * container.register(SCHEDULER, { useClass: MyScheduler });
 * const engine = await createEngine({ model: "./my-model", backend: cpuBackend(), container });
 */
export async function createEngine(options: ContainerEngineOptions): Promise<LLMEngine> {
  const { container, ...rest } = options;
  const engineOptions = rest as EngineOptions;
  validateEngineOptions(engineOptions);
  if (typeof container?.createChildContainer !== "function") {
    throw new InvalidOptionsError("container is not a tsyringe container; pass `container` of tsyringe or a child of it");
  }
  if (engineOptions.backend === undefined && !container.isRegistered(BACKEND, true)) {
    throw new InvalidOptionsError("no backend: pass one as an option, or register one under BACKEND");
  }
  return composeEngine(engineOptions, new ContainerResolver(container));
}

/**
 * `@weir/core/di`: the engine for users of tsyringe. The one entry with a side effect: tsyringe refuses to load
 * before a reflect-metadata, so the smallest one is loaded first.
 */
import "reflect-metadata/lite";

export { createEngine, type ContainerEngineOptions } from "./create-engine.js";
export * from "./tokens.js";

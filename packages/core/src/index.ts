/** Public API of @weir/core. */
export * from "./contracts/index.js";
export * from "./errors/index.js";
export { createModelInput, createModelOutput, createSamplingInput, type MutableModelOutput } from "./engine/step-buffers.js";
export { createEngine } from "./engine/create-engine.js";
export type { EngineOptions, EngineServices, ProgressObserver, Provided } from "./engine/engine-options.js";
export type { EngineInfo } from "./engine/engine-parts.js";
export type { EngineStatsSnapshot } from "./engine/engine-stats.js";
export { LLMEngine } from "./engine/llm-engine.js";
export { formatBytes, planMemory, type MemoryPlan, type MemoryPlanOptions } from "./engine/memory-plan.js";
export type { ChatOptions, Prompt } from "./engine/prompt.js";
export { EngineSequence, type SequenceInit } from "./engine/sequence.js";
export * from "./kv/index.js";
export * from "./scheduler/index.js";
export * from "./stream/index.js";
export * from "./model/index.js";
export * from "./sampling/index.js";
export { builtModule } from "./platform/built-module.js";

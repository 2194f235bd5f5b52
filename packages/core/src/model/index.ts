export type { Architecture } from "./architecture.js";
export { ArchitectureRegistry, architectures, createModelSpec, registerArchitecture } from "./architecture-registry.js";
export { ConfigReader, type NumberLimits } from "./config-reader.js";
export { checkTensors } from "./check-tensors.js";
export { kvBytesPerToken, type ModelStats, modelStats } from "./model-stats.js";
export { type RopeTables, ropeTables } from "./rope.js";

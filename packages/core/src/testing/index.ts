/** `@weir/core/testing`: backends without a model or device, and the suite that checks any backend. */
export { nullBackend, type NullBackendOptions } from "./null-backend.js";
export type { NullClock } from "./null-backend-runner.js";
export { nullNextToken } from "./null-backend-kv.js";
export { nullModelSpec, type NullModelOptions, nullWeights } from "./null-backend-model.js";
export { assertIdle, greedyIds, tokenEvents, tokenIdsOf, type TokenOf, withEngine } from "./drive-engine.js";
export { referenceBackend } from "./reference-backend.js";
export {
  type BackendFixture,
  BACKEND_TESTS,
  type BackendTolerances,
  describeBackend,
  type DescribeBackendOptions,
  type ExpectedCase,
} from "./describe-backend.js";

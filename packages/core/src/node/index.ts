/** `@weir/core/node`: what needs files or threads. */
export { type ModelFolderOptions, openModelFolder } from "./model-folder.js";
export { openWeights as openSafetensors, type SafetensorsOptions } from "./safetensors-source.js";
export { platform } from "./platform.js";
export { startWorker } from "./start-worker.js";
export {
  type ChildLoad,
  type EngineFactory,
  type Json,
  type RemoteEngine,
  remoteEngine,
  type RemoteEngineOptions,
  serveEngine,
} from "./remote/index.js";

/** An engine in a process of its own: `remoteEngine` for the application, `serveEngine` for the child. */
export { type RemoteEngine, remoteEngine } from "./remote-engine.js";
export type { RemoteEngineOptions } from "./remote-options.js";
export type { Json } from "./schema.js";
export { type ChildLoad, type EngineFactory, serveEngine } from "./serve-engine.js";

export type { EngineEvents, OnError } from "./event-hub.js";
export { toText, toUsage } from "./operators.js";
export { toWebStream } from "./to-web-stream.js";
export { TokenStream, type ConsumeOptions } from "./token-stream.js";

/** EngineObserver: a synchronous tap on the engine's events, without RxJS. Must not throw and must be quick. */
import type { EngineEvent } from "./events.js";

export interface EngineObserver {
  onEvent(event: EngineEvent): void;
}

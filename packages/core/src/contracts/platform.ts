/**
 * Platform: what differs between Node and a browser. Two implementations, chosen by the `#platform` import of
 * package.json; `createEngine` is the only caller.
 */
import type { LoadProgress } from "./backend.js";
import type { LoadedModel } from "./loaded-model.js";

export interface OpenModelOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: LoadProgress) => void;
}

export interface Platform {
  /**
   * Opens a model by path or name.
   * @throws ModelLoadError, AbortedError; NotSupportedError where there are no paths
   */
  openModel(path: string, options: OpenModelOptions): Promise<LoadedModel>;
  /** Bytes that a KV cache could use without pushing the machine into swap; a snapshot. */
  availableMemory(): number;
  /** Milliseconds of a monotonic clock. */
  now(): number;
  /** Resolves after one turn of the event loop: timers, sockets and messages get their chance. */
  yieldToEventLoop(): Promise<void>;
}

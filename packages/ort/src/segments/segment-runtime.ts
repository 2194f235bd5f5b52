/**
 * SegmentRuntime: what the segments of one model share in one thread: library, environment, thread options, and
 * tensors over the step's buffers. Made and disposed by a runner.
 */
import { loadOrtLibrary } from "../capi/library.js";
import type { OrtLibrary } from "../capi/library.js";
import { CpuMemoryInfo } from "../capi/memory-info.js";
import { OrtEnv } from "../capi/ort-env.js";
import type { SessionOptions } from "../capi/session-options.js";
import { hasGlobalPools } from "./global-pools.js";
import { TensorCache } from "./tensor-cache.js";

export interface SegmentRuntimeOptions {
  /** Threads per run, the calling one included. Default 1. */
  readonly threads?: number;
  /**
   * `global`: one pool for all segments, as large as the first runtime of the process asked for; falls back to
   * `session` where another library made ONNX Runtime's environment first. `session`: each segment brings its own
   * threads. Default "global".
   */
  readonly pool?: "global" | "session";
  /** Whether waiting pool threads spin; microseconds only with `pool: "session"`. */
  readonly spinning?: boolean | number;
  /** Spin only while a segment runs, and leave the cores to attention between segments. Default true. */
  readonly stopSpinningBetweenRuns?: boolean;
  /**
   * One arena for the temporaries of all segments. Without it each operator takes fresh pages from the system and
   * gives them back, which costs prefill up to a fifth. Default true.
   */
  readonly sharedArena?: boolean;
  /** Path of ONNX Runtime's library. Default: the one inside onnxruntime-node. */
  readonly libraryPath?: string;
}

export class SegmentRuntime {
  readonly library: OrtLibrary;
  readonly env: OrtEnv;
  readonly tensors: TensorCache;
  /** The pool in use. */
  readonly pool: "global" | "session";
  readonly #memory: CpuMemoryInfo;
  readonly #sessionOptions: SessionOptions;

  /** @throws BackendUnavailableError */
  constructor(options: SegmentRuntimeOptions = {}) {
    const { threads = 1, pool = "global", spinning = true, stopSpinningBetweenRuns = true, sharedArena = true } = options;
    this.library = loadOrtLibrary(options.libraryPath);
    this.env = new OrtEnv(this.library, pool === "global" ? { globalThreads: threads, globalSpinning: spinning !== false } : {});
    this.pool = pool === "global" && hasGlobalPools(this.env) ? "global" : "session";
    if (sharedArena) this.env.shareArena();
    this.#sessionOptions = {
      ...(this.pool === "global" ? { globalThreads: true } : { threads }),
      spinning,
      stopSpinningBetweenRuns,
      arena: sharedArena ? "environment" : "none",
    };
    this.#memory = new CpuMemoryInfo(this.library);
    this.tensors = new TensorCache(this.library, this.#memory);
  }

  get sessionOptions(): SessionOptions {
    return this.#sessionOptions;
  }

  /** Releases everything but sessions, which must have been disposed before. Idempotent. */
  dispose(): void {
    this.tensors.dispose();
    this.#memory.dispose();
    this.env.dispose();
    this.library.releaseFreedMemory();
  }
}

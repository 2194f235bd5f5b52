/**
 * OrtEnv: ONNX Runtime's process-wide environment. The first one made in a process decides about global thread
 * pools; later ones share it. In: threads wanted. Out: a counted reference, and whether sessions may use the
 * global pools or must bring threads of their own.
 */
import { NativeHandle } from "./handle.js";
import { CpuMemoryInfo } from "./memory-info.js";
import type { OrtLibrary } from "./library.js";

const LOG_LEVEL_ERROR = 3;

export interface OrtEnvOptions {
  /** Threads of the global pool, the calling one included. Default: per-session threads only. */
  readonly globalThreads?: number;
  /** Whether the pool's threads spin while they wait. Default true. */
  readonly globalSpinning?: boolean;
}

export class OrtEnv extends NativeHandle {
  /** True when global pools were asked for; whether they are there is seen when a session asks for them. */
  readonly wantsGlobalPools: boolean;

  constructor(library: OrtLibrary, options: OrtEnvOptions = {}) {
    const { globalThreads } = options;
    const pointer =
      globalThreads === undefined
        ? library.out("CreateEnv", "environment", LOG_LEVEL_ERROR, "weir")
        : createWithPools(library, globalThreads, options.globalSpinning ?? true);
    super(library, "env", "ReleaseEnv", pointer);
    this.wantsGlobalPools = globalThreads !== undefined;
  }

  /**
   * Makes one arena for the temporaries of all sessions that ask for it (`arena: "environment"`), unless the
   * process's environment has one. It grows to what the largest step needs and goes with the environment.
   */
  shareArena(): void {
    using memory = new CpuMemoryInfo(this.library);
    try {
      this.library.check(this.library.fn("CreateAndRegisterAllocator")(this.pointer, memory.pointer, 0n), "shared arena");
    } catch (error) {
      // The environment is the process's: another runtime, or another copy of ours, came first.
      if (!(error instanceof Error && /already registered/i.test(error.message))) throw error;
    }
  }
}

function createWithPools(library: OrtLibrary, threads: number, spinning: boolean): bigint {
  const pools = library.out("CreateThreadingOptions", "threading options");
  try {
    library.check(library.fn("SetGlobalIntraOpNumThreads")(pools, threads), "global threads");
    library.check(library.fn("SetGlobalInterOpNumThreads")(pools, 1), "global threads");
    library.check(library.fn("SetGlobalSpinControl")(pools, spinning ? 1 : 0), "global spinning");
    return library.out("CreateEnvWithGlobalThreadPools", "environment", LOG_LEVEL_ERROR, "weir", pools);
  } finally {
    library.fn("ReleaseThreadingOptions")(pools);
  }
}

/** OrtSessionOptions from a plain object. Made for one session and disposed right after. */
import { appendProvider } from "./execution-provider.js";
import type { ExecutionProvider } from "./execution-provider.js";
import { NativeHandle } from "./handle.js";
import type { OrtLibrary } from "./library.js";

export interface SessionOptions {
  /** Use the environment's pools instead of threads of the session's own. Default false. */
  readonly globalThreads?: boolean;
  /** Threads of the session's own pool, the calling one included. Default 1. */
  readonly threads?: number;
  /** Whether waiting threads spin: false, true (ONNX Runtime's default length), or microseconds. Default true. */
  readonly spinning?: boolean | number;
  /** Spin only while a run is in progress. Default true. */
  readonly stopSpinningBetweenRuns?: boolean;
  /** Default "all". */
  readonly graphOptimization?: "none" | "basic" | "extended" | "all";
  /** Repack weights for the matrix kernels when the session is made. Default true. */
  readonly prepacking?: boolean;
  /**
   * Where temporaries come from. `none`: from the system, each time anew. `session`: an arena of the session's own.
   * `environment`: the arena that `OrtEnv.shareArena()` made, one for all sessions. Default "none".
   */
  readonly arena?: "none" | "session" | "environment";
  /** Folder that external data paths are relative to, for models given as bytes. */
  readonly externalDataFolder?: string;
  /** Prefix of a per-operator profile in Chrome's trace format; `Session.endProfiling()` gives the file's name. */
  readonly profilePrefix?: string;
  /** Where nodes run. Default: the CPU alone. */
  readonly provider?: ExecutionProvider;
  /** Further `session.*` entries. */
  readonly config?: Readonly<Record<string, string>>;
}

const OPTIMIZATION = { none: 0, basic: 1, extended: 2, all: 99 } as const;

export class OrtSessionOptions extends NativeHandle {
  constructor(library: OrtLibrary, options: SessionOptions) {
    super(library, "session-options", "ReleaseSessionOptions", library.out("CreateSessionOptions", "session options"));
    try {
      this.#setAll(options);
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  #setAll(options: SessionOptions): void {
    this.#set("SetSessionGraphOptimizationLevel", OPTIMIZATION[options.graphOptimization ?? "all"]);
    // Segments have few, changing shapes: memory patterns would be planned anew for each number of tokens.
    this.#set("DisableMemPattern");
    // An arena per session would keep the temporaries of each segment's largest step: 450 MB at 256 tokens of a
    // 1.1 B-parameter shape.
    if ((options.arena ?? "none") === "none") this.#set("DisableCpuMemArena");
    if (options.globalThreads) this.#set("DisablePerSessionThreads");
    else this.#set("SetIntraOpNumThreads", options.threads ?? 1);
    this.#set("SetInterOpNumThreads", 1);
    if (options.provider) appendProvider(this.library, this.pointer, options.provider);
    if (options.profilePrefix !== undefined) this.#set("EnableProfiling", options.profilePrefix);
    for (const [key, value] of Object.entries(configEntries(options))) this.#set("AddSessionConfigEntry", key, value);
  }

  #set(name: Parameters<OrtLibrary["fn"]>[0], ...args: (number | string)[]): void {
    this.library.check(this.library.fn(name)(this.pointer, ...args), `session option ${name}(${args.join(", ")})`);
  }
}

function configEntries(options: SessionOptions): Record<string, string> {
  const { spinning = true, stopSpinningBetweenRuns = true } = options;
  const entries: Record<string, string> = {
    "session.intra_op.allow_spinning": spinning === false || spinning === 0 ? "0" : "1",
    "session.force_spinning_stop": stopSpinningBetweenRuns ? "1" : "0",
  };
  if (typeof spinning === "number" && spinning > 0) entries["session.intra_op.spin_duration_us"] = String(spinning);
  if (options.arena === "environment") entries["session.use_env_allocators"] = "1";
  if (options.prepacking === false) entries["session.disable_prepacking"] = "1";
  if (options.externalDataFolder !== undefined) {
    entries["session.model_external_initializers_file_folder_path"] = options.externalDataFolder;
  }
  // A device that lacks a kernel must say so, not let the CPU step in.
  if (options.provider) entries["session.disable_cpu_ep_fallback"] = "1";
  return { ...entries, ...options.config };
}

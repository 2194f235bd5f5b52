/** EngineParts: the collaborators of an LLMEngine, all made; `compose.ts` makes them, tests may. */
import type {
  Backend,
  BlockManager,
  ChatTemplate,
  KvDtype,
  ModelLimits,
  ModelRunner,
  Platform,
  Sampler,
  Scheduler,
  Tokenizer,
  WeightScheme,
} from "../contracts/index.js";
import type { EventHub } from "../stream/event-hub.js";
import type { DisposalList } from "./disposal-list.js";
import type { MemoryPlan } from "./memory-plan.js";

/** What an engine runs, and how: fixed when it is made. */
export interface EngineInfo {
  /** The model's name. */
  readonly model: string;
  readonly architecture: string;
  readonly vocabSize: number;
  /** The backend's name. */
  readonly backend: string;
  readonly weightScheme: WeightScheme;
  readonly kvDtype: KvDtype;
  readonly limits: ModelLimits;
  readonly memory: MemoryPlan;
}

export interface EngineParts {
  readonly info: EngineInfo;
  readonly backend: Backend;
  readonly runner: ModelRunner;
  readonly scheduler: Scheduler;
  readonly blockManager: BlockManager;
  readonly tokenizer: Tokenizer | undefined;
  readonly chatTemplate: ChatTemplate | undefined;
  /** A user's; undefined: the runner samples, or the default sampler here where it cannot. */
  readonly sampler: Sampler | undefined;
  readonly hub: EventHub;
  readonly platform: Pick<Platform, "now" | "yieldToEventLoop">;
  /** Disposed with the engine, last made first. */
  readonly owned: DisposalList;
}

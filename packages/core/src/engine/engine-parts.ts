/** EngineParts: the collaborators of an LLMEngine, all made; `compose.ts` makes them, tests may. */
import type {
  Backend,
  BlockManager,
  ChatTemplate,
  EngineInfo,
  ModelRunner,
  Platform,
  Sampler,
  Scheduler,
  Tokenizer,
} from "../contracts/index.js";
import type { EventHub } from "../stream/event-hub.js";
import type { DisposalList } from "./disposal-list.js";

export type { EngineInfo };

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

/**
 * What an engine and its child process say to each other: plain JSON, nothing that could be code or a live object.
 * Requests are numbered by the host, ascending, never reused. `check-messages.ts` holds the checks; both ends use them.
 */
import type { EngineInfo, EngineStatsSnapshot, FinishReason, LoadProgress, StepStats } from "../../contracts/index.js";
import type { WireError } from "../../errors/index.js";
import type { Json } from "./schema.js";

/** Changed with anything below; a child that speaks another one is refused. */
export const PROTOCOL_VERSION = 1;

/** Messages of events that a child may send before the host has read them; then every sequence pauses. */
export const EVENT_WINDOW = 64;

export type ToChild =
  /** First, once. */
  | {
      readonly type: "init";
      readonly protocol: number;
      /** URL of the module that makes the engine; null where the child knows by itself. */
      readonly module: string | null;
      readonly options: Json;
      /** Milliseconds between two signs of life. */
      readonly beatMs: number;
      /** Milliseconds that running requests may take after SIGTERM. */
      readonly drainMs: number;
    }
  | { readonly type: "generate"; readonly id: number; readonly request: WireRequest }
  | { readonly type: "cancel"; readonly id: number }
  | { readonly type: "pause"; readonly id: number; readonly paused: boolean }
  /** So many more messages of events were read: the child may run ahead by `EVENT_WINDOW` of them and no further. */
  | { readonly type: "read"; readonly messages: number }
  /** Dispose the engine and exit; while loading: stop that. */
  | { readonly type: "close" };

export type ToHost =
  | { readonly type: "progress"; readonly progress: LoadProgress }
  | { readonly type: "ready"; readonly protocol: number; readonly info: EngineInfo; readonly stats: EngineStatsSnapshot }
  | { readonly type: "load-error"; readonly error: WireError }
  /** What happened since the last one, in order; everything of a step in one message. */
  | { readonly type: "events"; readonly events: readonly WireEvent[]; readonly stats: EngineStatsSnapshot | null }
  /** The event loop runs. `stepMs`: how long the step in flight has taken so far. */
  | { readonly type: "beat"; readonly stepMs: number; readonly stats: EngineStatsSnapshot | null }
  /** SIGTERM: what runs may end, nothing new is begun; then the process exits. */
  | { readonly type: "draining" };

export interface WireRequest {
  readonly requestId: string;
  readonly prompt: WirePrompt;
  readonly options: WireOptions;
  /** Output that its consumer has already: ids. */
  readonly output: readonly number[];
  /** Number of the request whose tokens the prompt is, to share KV blocks with; null: none. */
  readonly parent: number | null;
  readonly paused: boolean;
}

export type WirePrompt =
  | { readonly ids: readonly number[] }
  | { readonly text: string }
  | { readonly messages: Json; readonly render: { readonly [key: string]: Json } };

/** GenerateOptions with every default filled in but `maxTokens`; what belongs to the host (signal, deadline, buffer) stays there. */
export interface WireOptions {
  readonly maxTokens: number | null;
  readonly minTokens: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly repetitionPenalty: number;
  readonly presencePenalty: number;
  readonly frequencyPenalty: number;
  readonly seed: number;
  readonly stop: readonly string[];
  readonly includeStopString: boolean;
  readonly stopTokenIds: readonly number[];
  readonly ignoreEos: boolean;
  /** null: none. */
  readonly logprobs: number | null;
  readonly fullLogits: boolean;
  /** Pairs; a value of null is -Infinity. */
  readonly logitBias: readonly (readonly [id: number, bias: number | null])[];
  readonly skipSpecialTokens: boolean;
  readonly specialTokensInPrompt: boolean;
  readonly addSpecialTokens: boolean;
  readonly priority: number;
}

/** A log-probability; null is -Infinity. */
export type WireLogprob = number | null;

/** Tuples: they are most of the traffic. The second element of all but the last three is the request's number. */
export type WireEvent =
  /** `promptIds`: null where the host knows them. */
  | readonly [kind: "queued", id: number, promptTokens: number, promptIds: readonly number[] | null]
  | readonly [kind: "scheduled", id: number]
  | readonly [kind: "prefill", id: number, computedTokens: number]
  | readonly [kind: "token", id: number, token: number, text: string]
  /** As "token", with logprobs (null: none), the best ones as pairs, and a row of f32 logits in base64 (null: none). */
  | readonly [
      kind: "token+",
      id: number,
      token: number,
      text: string,
      logprob: WireLogprob | "none",
      top: readonly (readonly [id: number, logprob: WireLogprob])[] | null,
      logits: string | null,
    ]
  | readonly [kind: "preempted", id: number]
  | readonly [kind: "end", id: number, reason: FinishReason, text: string, completionTokens: number, cachedTokens: number]
  | readonly [kind: "error", id: number, error: WireError]
  | readonly [kind: "step", stats: StepStats]
  /** The child's engine lost its runner and has it back. */
  | readonly [kind: "restarted", numReplayed: number];

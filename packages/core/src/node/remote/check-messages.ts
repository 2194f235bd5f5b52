/** The checks of every message, for the end that reads it. In: parsed JSON. Out: a message, or a ProtocolError. */
import type { EngineInfo, EngineStatsSnapshot, LoadProgress, StepStats } from "../../contracts/index.js";
import type { WireError } from "../../errors/index.js";
import type { ToChild, ToHost, WireEvent, WireOptions, WirePrompt, WireRequest } from "./messages.js";
import * as s from "./schema.js";

const MOST_IDS = 2 ** 24;
const MOST_EVENTS = 2 ** 20;

/** @throws ProtocolError */
export function checkToChild(value: unknown): ToChild {
  return checkByType(value, TO_CHILD);
}

/** @throws ProtocolError */
export function checkToHost(value: unknown): ToHost {
  return checkByType(value, TO_HOST);
}

type Checks<M extends { readonly type: string }> = {
  readonly [T in M["type"]]: s.Check<Extract<M, { readonly type: T }>>;
};

function checkByType<M extends { readonly type: string }>(value: unknown, checks: Checks<M>): M {
  const type = (value as { readonly type?: unknown } | null | undefined)?.type;
  if (typeof type !== "string" || !Object.hasOwn(checks, type)) return s.refuse(type, "a message's type", Object.keys(checks).join(", "));
  return checks[type as M["type"]](value, type);
}

const prompt: s.Check<WirePrompt> = (value, where) => {
  const given = s.jsonObject(value, where);
  if ("ids" in given) return s.record<{ ids: readonly number[] }>({ ids: s.listOf(s.whole, MOST_IDS) })(value, where);
  if ("text" in given) return s.record<{ text: string }>({ text: s.text })(value, where);
  return s.record<Extract<WirePrompt, { messages: unknown }>>({ messages: s.json, render: s.jsonObject })(value, where);
};

const bias: s.Check<readonly [number, number | null]> = (value, where) => {
  if (!Array.isArray(value) || value.length !== 2) return s.refuse(value, where, "a pair");
  return [s.whole(value[0], where), s.nullable(s.real)(value[1], where)];
};

const options = s.record<WireOptions>({
  maxTokens: s.nullable(s.whole),
  minTokens: s.whole,
  temperature: s.real,
  topK: s.whole,
  topP: s.real,
  minP: s.real,
  repetitionPenalty: s.real,
  presencePenalty: s.real,
  frequencyPenalty: s.real,
  seed: s.whole,
  stop: s.listOf(s.text, 1024),
  includeStopString: s.flag,
  stopTokenIds: s.listOf(s.whole, 1024),
  ignoreEos: s.flag,
  logprobs: s.nullable(s.whole),
  fullLogits: s.flag,
  logitBias: s.listOf(bias, 4096),
  skipSpecialTokens: s.flag,
  specialTokensInPrompt: s.flag,
  addSpecialTokens: s.flag,
  priority: s.real,
});

const request = s.record<WireRequest>({
  requestId: s.text,
  prompt,
  options,
  output: s.listOf(s.whole, MOST_IDS),
  parent: s.nullable(s.whole),
  paused: s.flag,
});

const TO_CHILD: Checks<ToChild> = {
  init: s.record({
    type: s.oneOf("init"),
    protocol: s.whole,
    module: s.nullable(s.text),
    options: s.json,
    beatMs: s.real,
    drainMs: s.real,
  }),
  generate: s.record({ type: s.oneOf("generate"), id: s.whole, request }),
  cancel: s.record({ type: s.oneOf("cancel"), id: s.whole }),
  pause: s.record({ type: s.oneOf("pause"), id: s.whole, paused: s.flag }),
  read: s.record({ type: s.oneOf("read"), messages: s.whole }),
  close: s.record({ type: s.oneOf("close") }),
};

const error = s.record<WireError>({ code: s.optional(s.text) as s.Check<WireError["code"]>, name: s.text, message: s.text });

const runnerTimings = s.record<StepStats["runner"]>({ dense: s.real, attention: s.real, sampling: s.real, total: s.real });

const stats = s.record<EngineStatsSnapshot>({
  health: s.oneOf("ok", "degraded", "restarting", "failed"),
  requests: s.record({ refused: s.whole, started: s.whole, finished: s.whole, aborted: s.whole, failed: s.whole, live: s.whole }),
  steps: s.whole,
  computedTokens: s.whole,
  sampledTokens: s.whole,
  nonfiniteRows: s.whole,
  restarts: s.whole,
  milliseconds: s.record({ schedule: s.real, execute: s.real, process: s.real, userCode: s.real, runner: runnerTimings }),
  // What a user's scheduler or block manager adds to its numbers is carried along.
  scheduler: s.jsonObject as unknown as s.Check<EngineStatsSnapshot["scheduler"]>,
  blocks: s.jsonObject as unknown as s.Check<EngineStatsSnapshot["blocks"]>,
  memory: s.record({ weightBytes: s.real, kvReservedBytes: s.real, kvCommittedBytes: s.real }),
});

const info = s.record<EngineInfo>({
  model: s.text,
  architecture: s.text,
  vocabSize: s.whole,
  backend: s.text,
  weightScheme: s.text as s.Check<EngineInfo["weightScheme"]>,
  kvDtype: s.text as s.Check<EngineInfo["kvDtype"]>,
  limits: s.record<EngineInfo["limits"]>({
    maxModelLen: s.whole,
    maxNumSeqs: s.whole,
    maxNumBatchedTokens: s.whole,
    blockSize: s.whole,
    numBlocks: s.whole,
  }),
  memory: s.jsonObject as unknown as s.Check<EngineInfo["memory"]>,
});

const stepStats = s.record<StepStats>({
  step: s.whole,
  numRunning: s.whole,
  numWaiting: s.whole,
  numBatchedTokens: s.whole,
  numRows: s.whole,
  numFreeBlocks: s.whole,
  schedule: s.real,
  execute: s.real,
  process: s.real,
  runner: runnerTimings,
});

const progress = s.record<LoadProgress>({
  stage: s.oneOf("open", "quantize", "compile", "ready"),
  bytesDone: s.real,
  bytesTotal: s.real,
});

/** What follows the kind. */
const EVENTS: { readonly [K in WireEvent[0]]: readonly s.Check<unknown>[] } = {
  queued: [s.whole, s.whole, s.nullable(s.listOf(s.whole, MOST_IDS))],
  scheduled: [s.whole],
  prefill: [s.whole, s.whole],
  token: [s.whole, s.whole, s.text],
  "token+": [s.whole, s.whole, s.text, logprobOrNone, s.nullable(s.listOf(bias, 1024)), s.nullable(s.text)],
  preempted: [s.whole],
  end: [s.whole, s.oneOf("stop", "length", "stop-string", "aborted", "tool-calls"), s.text, s.whole, s.whole],
  error: [s.whole, error],
  step: [stepStats],
  restarted: [s.whole],
};

function logprobOrNone(value: unknown, where: string): unknown {
  return value === "none" ? value : s.nullable(s.real)(value, where);
}

const event: s.Check<WireEvent> = (value, where) => {
  if (!Array.isArray(value)) return s.refuse(value, where, "an event's tuple");
  const kind: unknown = value[0];
  if (typeof kind !== "string" || !Object.hasOwn(EVENTS, kind)) return s.refuse(kind, where, Object.keys(EVENTS).join(", "));
  const checks = EVENTS[kind as WireEvent[0]];
  if (value.length !== checks.length + 1) return s.refuse(value, where, `${checks.length} elements after ${kind}`);
  for (let i = 0; i < checks.length; i++) checks[i]!(value[i + 1], kind);
  return value as unknown as WireEvent;
};

const TO_HOST: Checks<ToHost> = {
  progress: s.record({ type: s.oneOf("progress"), progress }),
  ready: s.record({ type: s.oneOf("ready"), protocol: s.whole, info, stats }),
  "load-error": s.record({ type: s.oneOf("load-error"), error }),
  events: s.record({ type: s.oneOf("events"), events: s.listOf(event, MOST_EVENTS), stats: s.nullable(stats) }),
  beat: s.record({ type: s.oneOf("beat"), stepMs: s.real, stats: s.nullable(stats) }),
  draining: s.record({ type: s.oneOf("draining") }),
};

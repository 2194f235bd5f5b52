/** One of each message of the protocol, for tests that check them and tests that damage them. */
import type { EngineStatsSnapshot } from "../../../contracts/index.js";
import type { ToChild, ToHost, WireEvent, WireOptions } from "../messages.js";

const OPTIONS: WireOptions = {
  maxTokens: null,
  minTokens: 0,
  temperature: 0.5,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: -0.5,
  seed: 2 ** 53 - 1,
  stop: ["a", "é"],
  includeStopString: false,
  stopTokenIds: [1],
  ignoreEos: true,
  logprobs: 2,
  fullLogits: false,
  logitBias: [
    [3, null],
    [4, -1.5],
  ],
  skipSpecialTokens: true,
  specialTokensInPrompt: false,
  addSpecialTokens: true,
  priority: -1,
};

const request = { requestId: "r", options: OPTIONS, output: [1, 2], parent: null, paused: false };

export const TO_CHILD_EXAMPLES: readonly ToChild[] = [
  { type: "init", protocol: 1, module: "file:///m.mjs", options: { a: [1, { b: null }] }, beatMs: 100.5, drainMs: 0 },
  { type: "generate", id: 1, request: { ...request, prompt: { ids: [1, 2, 3] } } },
  { type: "generate", id: 2, request: { ...request, prompt: { text: "hello" }, parent: 1 } },
  { type: "generate", id: 3, request: { ...request, prompt: { messages: [{ role: "user", content: "x" }], render: { variables: {} } } } },
  { type: "cancel", id: 1 },
  { type: "pause", id: 1, paused: true },
  { type: "read", messages: 16 },
  { type: "close" },
];

export const STATS_EXAMPLE: EngineStatsSnapshot = {
  health: "ok",
  requests: { refused: 0, started: 1, finished: 1, aborted: 0, failed: 0, live: 0 },
  steps: 5,
  computedTokens: 9,
  sampledTokens: 4,
  nonfiniteRows: 0,
  restarts: 0,
  milliseconds: { schedule: 1, execute: 2, process: 3, userCode: 0, runner: { dense: 1, attention: 0.5, sampling: 0, total: 1.5 } },
  scheduler: { numRunning: 0, numWaiting: 0, numPreemptions: 0 },
  blocks: { numBlocks: 8, numFreeBlocks: 8, blockSize: 4, numSharedBlocks: 0, prefixCacheHits: 0, prefixCacheQueries: 0 },
  memory: { weightBytes: 0, kvReservedBytes: 1, kvCommittedBytes: 1 },
};

export const EVENT_EXAMPLES: readonly WireEvent[] = [
  ["queued", 1, 3, [1, 2, 3]],
  ["queued", 2, 3, null],
  ["scheduled", 1],
  ["prefill", 1, 3],
  ["token", 1, 7, "é"],
  ["token+", 1, 7, "", -0.5, [[7, null]], null],
  ["token+", 1, 7, "", "none", null, "AAAAAA=="],
  ["preempted", 1],
  ["end", 1, "length", "rest", 3, 0],
  ["error", 2, { code: "timeout", name: "TimeoutError", message: "late" }],
  ["error", 3, { name: "Error", message: "none of ours" }] as unknown as WireEvent,
  [
    "step",
    {
      step: 1,
      numRunning: 1,
      numWaiting: 0,
      numBatchedTokens: 1,
      numRows: 1,
      numFreeBlocks: 7,
      schedule: 0.1,
      execute: 1,
      process: 0.1,
      runner: { dense: 1, attention: 0, sampling: 0, total: 1 },
    },
  ],
  ["restarted", 2],
];

export const TO_HOST_EXAMPLES: readonly ToHost[] = [
  { type: "progress", progress: { stage: "compile", bytesDone: 1, bytesTotal: 2 } },
  {
    type: "ready",
    protocol: 1,
    info: {
      model: "m",
      architecture: "llama",
      vocabSize: 10,
      backend: "null",
      weightScheme: "f32",
      kvDtype: "f32",
      limits: { maxModelLen: 16, maxNumSeqs: 2, maxNumBatchedTokens: 8, blockSize: 4, numBlocks: 8 },
      memory: {} as never,
    },
    stats: STATS_EXAMPLE,
  },
  { type: "load-error", error: { code: "model_load", name: "ModelLoadError", message: "no" } },
  { type: "events", events: EVENT_EXAMPLES, stats: null },
  { type: "events", events: [], stats: STATS_EXAMPLE },
  { type: "beat", stepMs: 1.5, stats: null },
  { type: "draining" },
];

/**
 * Many streams at once: seeded prompts, lengths, arrivals and cancels, and what came of each. What is random is when
 * things meet, which no result may depend on.
 */
import { type EngineEvent, type EngineObserver, type LLMEngine, type TokenEvent, WeirError } from "@weir/core";
import type { SeededRandom } from "./seeded-random.js";

export interface StreamPlan {
  readonly requestId: string;
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  /** Milliseconds after the start. */
  readonly arrival: number;
  /** Leaves after this many tokens. */
  readonly leaveAfter?: number;
  /** `engine.abort` this many milliseconds after its arrival. */
  readonly abortAfter?: number;
}

export interface StreamResult {
  readonly plan: StreamPlan;
  readonly ids: readonly number[];
  readonly end: "finished" | "left" | "aborted";
  /** Completion tokens as its request-end event counts them. */
  readonly counted: number | undefined;
}

export interface StreamPlanOptions {
  readonly count: number;
  /** Prompt and output together, at most. */
  readonly maxLength: number;
  readonly vocabSize: number;
  /** Share of the streams that leave or are aborted. */
  readonly cancels: number;
  /** Milliseconds in which they arrive. */
  readonly arrivals: number;
}

export function planStreams(random: SeededRandom, options: StreamPlanOptions): StreamPlan[] {
  return Array.from({ length: options.count }, (_, i) => {
    const length = random.int(2, options.maxLength);
    const numPrompt = random.int(1, length - 1);
    const plan = {
      requestId: `stream-${i}`,
      prompt: Array.from({ length: numPrompt }, () => random.int(2, options.vocabSize - 1)),
      maxTokens: length - numPrompt,
      arrival: random.int(0, options.arrivals),
    };
    if (random.next() >= options.cancels) return plan;
    return random.next() < 0.5
      ? { ...plan, leaveAfter: random.int(1, plan.maxTokens) }
      : { ...plan, abortAfter: random.int(0, options.arrivals) };
  });
}

export async function runStreams(engine: LLMEngine, plans: readonly StreamPlan[]): Promise<StreamResult[]> {
  return Promise.all(plans.map((plan) => runStream(engine, plan)));
}

async function runStream(engine: LLMEngine, plan: StreamPlan): Promise<StreamResult> {
  await sleep(plan.arrival);
  const { requestId, maxTokens } = plan;
  const ids: number[] = [];
  let counted: number | undefined;
  const timer = plan.abortAfter === undefined ? undefined : setTimeout(() => engine.abort(requestId), plan.abortAfter);
  try {
    for await (const event of engine.generate([...plan.prompt], { requestId, maxTokens, ignoreEos: true })) {
      if (event.type === "request-end") counted = event.usage.completionTokens;
      if (event.type === "token") ids.push(event.id);
      if (ids.length === plan.leaveAfter) return { plan, ids, end: "left", counted };
    }
    return { plan, ids, end: "finished", counted };
  } catch (error) {
    if (!WeirError.isInstance(error) || error.code !== "aborted") throw error;
    return { plan, ids, end: "aborted", counted };
  } finally {
    clearTimeout(timer);
  }
}

/** Keeps count of the engine's events, to be compared with what consumers saw and with `stats()`. */
export class EventLedger implements EngineObserver {
  readonly queued: Map<string, number> = new Map();
  readonly ended: Map<string, TokenEvent["type"] | EngineEvent["type"]> = new Map();
  readonly completionTokens: Map<string, number> = new Map();
  readonly doubleEnds: string[] = [];
  batchedTokens = 0;
  rows = 0;
  steps = 0;

  onEvent(event: EngineEvent): void {
    if (event.type === "request-queued") this.queued.set(event.requestId, event.promptTokens);
    if (event.type === "request-end") this.completionTokens.set(event.requestId, event.usage.completionTokens);
    if (event.type === "request-end" || event.type === "request-error") {
      if (this.ended.has(event.requestId)) this.doubleEnds.push(event.requestId);
      this.ended.set(event.requestId, event.type);
    }
    if (event.type !== "step-end") return;
    this.steps++;
    this.batchedTokens += event.stats.numBatchedTokens;
    this.rows += event.stats.numRows;
  }
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

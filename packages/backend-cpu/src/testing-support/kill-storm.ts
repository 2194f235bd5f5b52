/**
 * A storm of signals at an engine's process while streams run. In: the engine, requests with what each gives when nobody
 * disturbs it. Out: how the streams ended. Random are the moments; no result may depend on them.
 */
import { WeirError, type GenerateOptions, type TokenEvent } from "@weir/core";
import type { RemoteEngine } from "@weir/core/node";
import type { SeededRandom } from "./seeded-random.js";
import { sleep } from "./stream-load.js";

export interface StormRequest {
  readonly prompt: string;
  readonly options: GenerateOptions;
}

/** What a request gives: everything that must not depend on restarts. */
export interface StormResult {
  readonly ids: readonly number[];
  readonly text: string;
  readonly finishReason: string;
  readonly completionTokens: number;
}

export interface StormOutcome {
  readonly identical: number;
  /** Ended in EngineRestartedError. */
  readonly failed: number;
  /** Anything else, described. */
  readonly wrong: readonly unknown[];
  /** Every process that the engine had. */
  readonly pids: ReadonlySet<number>;
}

const SIGNALS = ["SIGKILL", "SIGSEGV", "SIGSTOP"] as const;

export async function runRequest(engine: RemoteEngine, { prompt, options }: StormRequest): Promise<StormResult> {
  const events: TokenEvent[] = [];
  for await (const event of engine.generate(prompt, options)) events.push(event);
  const tokens = events.filter((event) => event.type === "token");
  const end = events.at(-1);
  if (end?.type !== "request-end" || tokens.some(({ index }, i) => index !== i))
    throw new Error("a stream without an end, or out of order");
  const text = events.map((event) => ("text" in event ? event.text : "")).join("");
  return { ids: tokens.map(({ id }) => id), text, finishReason: end.finishReason, completionTokens: end.usage.completionTokens };
}

/** @param maxDelayMs between a child's being ready and its signal; every other SIGKILL and SIGSEGV counts from its start */
export async function killStorm(
  engine: RemoteEngine,
  requests: readonly StormRequest[],
  expected: readonly StormResult[],
  {
    streams,
    kills,
    maxDelayMs,
    random,
  }: { readonly streams: number; readonly kills: number; readonly maxDelayMs: number; readonly random: SeededRandom },
): Promise<StormOutcome> {
  const outcome = { identical: 0, failed: 0, wrong: [] as unknown[], pids: new Set<number>() };
  const storm = { isOver: false };
  const stream = async (first: number): Promise<void> => {
    for (let i = first; !storm.isOver; i = (i + streams) % requests.length) {
      try {
        const result = await runRequest(engine, requests[i]!);
        if (JSON.stringify(result) === JSON.stringify(expected[i])) outcome.identical++;
        else outcome.wrong.push({ request: requests[i], result, expected: expected[i] });
      } catch (error) {
        if (WeirError.isInstance(error) && error.code === "engine_restarted") outcome.failed++;
        else outcome.wrong.push(error);
      }
    }
  };
  const running = Array.from({ length: streams }, (_, i) => stream(i));
  for (let kill = 0; kill < kills; kill++) {
    const mayBeLoading = kill % 6 === 0 || kill % 6 === 4;
    await target(engine, mayBeLoading);
    await sleep(random.int(0, maxDelayMs));
    const struck = await target(engine, mayBeLoading);
    outcome.pids.add(struck);
    process.kill(struck, SIGNALS[kill % SIGNALS.length]!);
    while (engine.pid === struck) await sleep(2);
  }
  storm.isOver = true;
  await Promise.all(running);
  if (engine.pid !== undefined) outcome.pids.add(engine.pid);
  return outcome;
}

/** @returns the pid of a process that is there; that is ready, unless it may be loading */
async function target(engine: RemoteEngine, mayBeLoading: boolean): Promise<number> {
  for (;;) {
    const { pid } = engine;
    if (pid !== undefined && (mayBeLoading || engine.stats().health !== "restarting")) return pid;
    await sleep(2);
  }
}

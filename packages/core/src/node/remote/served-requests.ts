/**
 * ServedRequests: the child's half of every request. In: the host's orders. Out: events, those of one step in one
 * message. When the host does not read, every sequence pauses until it does, so nothing piles up here.
 */
import type { EngineEvent, TokenEvent } from "../../contracts/index.js";
import type { LLMEngine } from "../../engine/llm-engine.js";
import { toWireError } from "../../errors/index.js";
import type { RequestHandle, RequestSink } from "../../stream/request-sink.js";
import type { Channel } from "./channel.js";
import { EVENT_WINDOW, type ToChild, type ToHost, type WireEvent, type WirePrompt, type WireRequest } from "./messages.js";
import { toWireToken } from "./wire-events.js";
import { fromWireOptions } from "./wire-options.js";

interface Served {
  readonly requestId: string;
  handle: RequestHandle | undefined;
  paused: boolean;
  ended: boolean;
}

/** Blocks of a cancelled request are free after the step in flight; most steps are shorter. */
const STATS_AFTER_CANCEL_MS = 50;

/** Steps shorter than a turn of the event loop do not pile up in one message: the window counts messages. */
const STEPS_PER_MESSAGE = 2;

export class ServedRequests {
  readonly #engine: LLMEngine;
  readonly #channel: Channel<ToHost, ToChild>;
  readonly #byNumber = new Map<number, Served>();
  readonly #numberOf = new Map<string, number>();
  #events: WireEvent[] = [];
  #withStats = false;
  #flushing = false;
  /** Of those gathered. */
  #numSteps = 0;
  #numUnread = 0;
  #held = false;
  #muted = false;

  constructor(engine: LLMEngine, channel: Channel<ToHost, ToChild>) {
    this.#engine = engine;
    this.#channel = channel;
    engine.events$.subscribe((event) => this.#onEngineEvent(event));
  }

  get size(): number {
    return this.#byNumber.size;
  }

  generate(id: number, request: WireRequest): void {
    const { requestId, prompt, options, output, parent, paused } = request;
    const served: Served = { requestId, handle: undefined, paused, ended: false };
    this.#byNumber.set(id, served);
    this.#numberOf.set(requestId, id);
    const parentId = parent === null ? undefined : this.#byNumber.get(parent)?.requestId;
    let promptIds: number[] | null = null;
    const sink: RequestSink = {
      next: (event) => this.#onTokenEvent(id, event, () => promptIds),
      error: (error) => this.#end(id, served, ["error", id, toWireError(error)]),
      complete: () => {},
    };
    served.handle = this.#engine.submit(
      {
        ...promptOf(prompt),
        options: fromWireOptions(options, requestId),
        outputTokenIds: output,
        ...(parentId === undefined ? {} : { parentRequestId: parentId }),
        ...("ids" in prompt ? {} : { onPrompt: (ids: Int32Array) => (promptIds = Array.from(ids)) }),
      },
      sink,
    );
    if (served.ended) return;
    if (paused || this.#held) served.handle.setPaused(true);
  }

  cancel(id: number): void {
    const served = this.#byNumber.get(id);
    if (!served) return;
    this.#forget(id, served);
    served.handle?.cancel();
    this.#sendStats();
    setTimeout(() => this.#sendStats(), STATS_AFTER_CANCEL_MS).unref();
  }

  pause(id: number, paused: boolean): void {
    const served = this.#byNumber.get(id);
    if (!served) return;
    served.paused = paused;
    if (!this.#held) served.handle?.setPaused(paused);
  }

  /** The host has read so many more messages. */
  onRead(messages: number): void {
    this.#numUnread = Math.max(0, this.#numUnread - messages);
    if (!this.#held || this.#numUnread > EVENT_WINDOW / 2) return;
    this.#held = false;
    for (const { handle, paused } of this.#byNumber.values()) handle?.setPaused(paused);
  }

  /** Nothing more is said: what still happens to requests is the host's to make good. */
  mute(): void {
    this.#muted = true;
    this.#events = [];
  }

  flush(): void {
    this.#flushing = false;
    this.#numSteps = 0;
    if (this.#muted || (this.#events.length === 0 && !this.#withStats)) return;
    const events = this.#events;
    const stats = this.#withStats ? this.#engine.stats() : null;
    this.#events = [];
    this.#withStats = false;
    this.#channel.send({ type: "events", events, stats });
    if (++this.#numUnread >= EVENT_WINDOW && !this.#held) this.#holdAll();
  }

  #onTokenEvent(id: number, event: TokenEvent, promptIds: () => number[] | null): void {
    if (event.type === "token") return this.#push(toWireToken(id, event));
    if (event.type === "request-queued") return this.#push(["queued", id, event.promptTokens, promptIds()]);
    if (event.type === "prefill-progress") return this.#push(["prefill", id, event.computedTokens]);
    if (event.type === "request-preempted") return this.#push(["preempted", id]);
    const { finishReason, text, usage } = event;
    this.#end(id, this.#byNumber.get(id)!, ["end", id, finishReason, text, usage.completionTokens, usage.cachedTokens]);
  }

  #onEngineEvent(event: EngineEvent): void {
    if (event.type === "request-scheduled") {
      const id = this.#numberOf.get(event.requestId);
      if (id === undefined) return;
      this.#push(["scheduled", id]);
      // Before the step runs: should it kill this process, the host must know who was in it.
      this.flush();
    } else if (event.type === "step-end") {
      this.#push(["step", event.stats]);
      if (++this.#numSteps === STEPS_PER_MESSAGE) this.flush();
    } else if (event.type === "engine-restarted") this.#push(["restarted", event.numReplayed]);
  }

  #push(event: WireEvent): void {
    if (this.#muted) return;
    this.#events.push(event);
    this.#flushSoon();
  }

  #end(id: number, served: Served, event: WireEvent): void {
    this.#forget(id, served);
    this.#withStats = true;
    this.#push(event);
  }

  #forget(id: number, served: Served): void {
    served.ended = true;
    this.#byNumber.delete(id);
    // A refused twin has the same name as the request that runs.
    if (this.#numberOf.get(served.requestId) === id) this.#numberOf.delete(served.requestId);
  }

  #sendStats(): void {
    this.#withStats = true;
    this.#flushSoon();
  }

  /**
   * What happens is gathered, and leaves in the turn of the event loop after the next: by then the next step is with the
   * runner, and nothing waits for the write, which takes as long as all the rest of this thread's work.
   */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => setImmediate(() => this.flush()));
  }

  #holdAll(): void {
    this.#held = true;
    for (const { handle } of this.#byNumber.values()) handle?.setPaused(true);
  }
}

function promptOf(prompt: WirePrompt): Pick<Parameters<LLMEngine["submit"]>[0], "prompt" | "render"> {
  if ("ids" in prompt) return { prompt: prompt.ids };
  if ("text" in prompt) return { prompt: prompt.text };
  // Their shape is the engine's to check.
  return { prompt: prompt.messages as never, render: prompt.render };
}

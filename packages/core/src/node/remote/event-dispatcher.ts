/**
 * EventDispatcher: the child's events to the requests they are about. In: checked events. Out: token events to sinks,
 * engine events to the hub, ends to the mirror. What a replay repeats (queued, prefill) it keeps to itself.
 */
import type { EngineInfo } from "../../contracts/index.js";
import { fromWireError } from "../../errors/index.js";
import type { EventHub } from "../../stream/event-hub.js";
import type { WireEvent } from "./messages.js";
import type { MirroredRequest } from "./mirrored-request.js";
import type { RequestMirror } from "./request-mirror.js";
import { ProtocolError } from "./schema.js";
import { fromWireToken } from "./wire-events.js";

export interface EventDispatcherParts {
  readonly hub: EventHub;
  readonly mirror: RequestMirror;
  readonly info: () => EngineInfo;
}

export class EventDispatcher {
  readonly #parts: EventDispatcherParts;

  constructor(parts: EventDispatcherParts) {
    this.#parts = parts;
  }

  /** @throws ProtocolError for what cannot be true of these requests */
  dispatch(events: readonly WireEvent[]): void {
    for (const event of events) this.#dispatch(event);
  }

  #dispatch(event: WireEvent): void {
    const { hub, mirror } = this.#parts;
    if (event[0] === "step") return hub.emit({ type: "step-end", stats: event[1] });
    if (event[0] === "restarted") return hub.emit({ type: "engine-restarted", numReplayed: event[1] });
    const request = mirror.byNumber(event[1]);
    // It ended here, and the child does not know it yet.
    if (!request) return;
    const { requestId } = request;
    switch (event[0]) {
      case "queued":
        return this.#onQueued(request, event[2], event[3]);
      case "scheduled":
        if (request.markScheduled(performance.now())) hub.emit({ type: "request-scheduled", requestId });
        return;
      case "prefill":
        return this.#onPrefill(request, event[2]);
      case "token":
      case "token+":
        return this.#onToken(request, event);
      case "preempted":
        hub.emit({ type: "request-preempted", requestId });
        return request.sink.next({ type: "request-preempted", requestId });
      case "end":
        return this.#onEnd(request, event);
      case "error":
        return mirror.fail(request, fromWireError(event[2]));
    }
  }

  #onQueued(request: MirroredRequest, promptTokens: number, promptIds: readonly number[] | null): void {
    // Replayed: its consumer knows.
    if (request.promptTokenIds) return;
    const { hub, mirror, info } = this.#parts;
    request.markQueued(promptIds, info().limits.maxModelLen);
    const { requestId, numPromptTokens } = request;
    if (numPromptTokens !== promptTokens) {
      throw new ProtocolError(`request ${requestId} was queued with ${promptTokens} tokens and ${numPromptTokens} ids`);
    }
    mirror.counts.started++;
    const event = { type: "request-queued", requestId, promptTokens } as const;
    hub.emit(event);
    request.sink.next(event);
  }

  /** Only news: after a restart the prompt is computed again in silence. */
  #onPrefill(request: MirroredRequest, computedTokens: number): void {
    if (computedTokens <= request.reportedPrefill) return;
    request.reportedPrefill = computedTokens;
    const { requestId, numPromptTokens: promptTokens } = request;
    request.sink.next({ type: "prefill-progress", requestId, computedTokens, promptTokens });
  }

  #onToken(request: MirroredRequest, event: Extract<WireEvent, readonly ["token" | "token+", ...unknown[]]>): void {
    const token = fromWireToken(event, request.requestId, request.outputTokenIds.length, this.#parts.info().vocabSize);
    request.markToken(token.id, performance.now());
    this.#parts.mirror.endTrial(request);
    request.sink.next(token);
  }

  #onEnd(
    request: MirroredRequest,
    [, , reason, text, completionTokens, cachedTokens]: Extract<WireEvent, readonly ["end", ...unknown[]]>,
  ): void {
    const { requestId, outputTokenIds } = request;
    if (completionTokens !== outputTokenIds.length) {
      throw new ProtocolError(`request ${requestId} ended with ${completionTokens} tokens, and ${outputTokenIds.length} arrived`);
    }
    this.#parts.mirror.finish(request, reason, text, cachedTokens);
  }
}

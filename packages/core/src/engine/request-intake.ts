/**
 * RequestIntake: what happens when a stream is consumed: read the prompt, check the options, make the request and
 * put it among the live ones. Whatever is wrong goes to that consumer; nothing is thrown.
 */
import type { BlockManager, GenerateOptions, ModelLimits, ModelSpec, Tokenizer } from "../contracts/index.js";
import { AbortedError, ContextLengthError, InvalidRequestError, NotSupportedError, OutOfBlocksError } from "../errors/index.js";
import type { EventHub } from "../stream/event-hub.js";
import type { RequestHandle, RequestSink } from "../stream/request-sink.js";
import { asError } from "./as-error.js";
import type { EngineStats } from "./engine-stats.js";
import type { LiveRequests } from "./live-requests.js";
import { PendingRequest } from "./pending-request.js";
import { EngineRequest } from "./request.js";
import { validateGenerateOptions, type SamplingParams } from "./sampling-params.js";
import { EngineSequence } from "./sequence.js";

export interface RequestIntakeParts {
  readonly spec: ModelSpec;
  readonly limits: ModelLimits;
  readonly tokenizer: Tokenizer | undefined;
  readonly blockManager: BlockManager;
  readonly live: LiveRequests;
  readonly hub: EventHub;
  readonly stats: EngineStats;
  readonly now: () => number;
  /** @throws what every request fails with from now on; of one that `wasThere` while its prompt was read, later */
  readonly checkOpen: (wasThere?: boolean) => void;
  readonly wake: () => void;
}

/** A prompt as token ids, the request that it was forked from, and output of an earlier life of the engine. */
export interface PromptRead {
  readonly promptTokenIds: Int32Array;
  readonly parent?: EngineRequest;
  readonly outputTokenIds?: ArrayLike<number>;
}

/** One consumption of a stream. */
export interface RequestOrder {
  readonly options: GenerateOptions;
  /** Called once; may throw or reject. A promise where the text is long and read on another thread. */
  readonly read: () => PromptRead | Promise<PromptRead>;
}

/** What a request is made of, once its options are checked. */
interface CheckedOrder {
  readonly requestId: string;
  readonly params: SamplingParams;
  readonly arrivalTime: number;
  readonly sink: RequestSink;
  readonly signals: readonly (AbortSignal | undefined)[];
}

export class RequestIntake {
  readonly #parts: RequestIntakeParts;
  #numSequences = 0;
  #numNames = 0;
  /** By request id. */
  readonly #pending = new Map<string, PendingRequest>();

  constructor(parts: RequestIntakeParts) {
    this.#parts = parts;
  }

  /** @param signal of this consumption, beside the one in the options */
  start(order: RequestOrder, sink: RequestSink, signal?: AbortSignal): RequestHandle {
    const requestId = this.#nameOf(order.options);
    try {
      const checked = this.#check(order, requestId, sink, signal);
      const read = order.read();
      return read instanceof Promise ? this.#wait(read, checked) : this.#accept(read, checked);
    } catch (thrown) {
      return this.#refuse(asError(thrown), requestId, sink);
    }
  }

  /** Ends a request whose prompt is still being read. @returns whether there was one */
  abort(requestId: string): boolean {
    const pending = this.#pending.get(requestId);
    pending?.fail(new AbortedError(`request ${requestId} was aborted while its prompt was read`));
    return pending !== undefined;
  }

  failPending(error: Error): void {
    for (const pending of [...this.#pending.values()]) pending.fail(error);
  }

  /** Resolves when no prompt is being read. */
  async idle(): Promise<void> {
    while (this.#pending.size > 0) await Promise.all([...this.#pending.values()].map((pending) => pending.settled));
  }

  #check(order: RequestOrder, requestId: string, sink: RequestSink, signal: AbortSignal | undefined): CheckedOrder {
    const { spec, tokenizer, limits, now } = this.#parts;
    this.#parts.checkOpen();
    if (this.#pending.has(requestId)) throw new InvalidRequestError(`requestId ${JSON.stringify(requestId)} is in use; choose another`);
    const signals = [signal, order.options?.signal];
    for (const each of signals) if (each?.aborted) throw aborted(requestId, each);
    // Before the prompt is read, which may take longer.
    const params = validateGenerateOptions(order.options, { vocabSize: spec.vocabSize, maxModelLen: limits.maxModelLen });
    if (params.stop.length > 0 && !tokenizer) {
      throw new NotSupportedError("stop takes strings, which need a tokenizer, and the model has none; use stopTokenIds");
    }
    return { requestId, params, arrivalTime: now(), sink, signals };
  }

  #wait(reading: Promise<PromptRead>, checked: CheckedOrder): RequestHandle {
    const { requestId, sink, signals } = checked;
    const pending = new PendingRequest({
      requestId,
      reading,
      signals,
      accept: (read) => {
        try {
          return this.#accept(read, checked);
        } catch (thrown) {
          return this.#refuse(asError(thrown), requestId, sink);
        }
      },
      refuse: (error) => this.#refuse(error, requestId, sink),
      onSettled: () => this.#pending.delete(requestId),
    });
    this.#pending.set(requestId, pending);
    return pending;
  }

  #accept(read: PromptRead, { requestId, params, arrivalTime, sink, signals }: CheckedOrder): RequestHandle {
    const { spec, tokenizer, live, limits } = this.#parts;
    const { promptTokenIds, parent, outputTokenIds = [] } = read;
    this.#parts.checkOpen(true);
    const maxTokens = sequenceLength(promptTokenIds.length, params.maxTokens, limits.maxModelLen);
    if (promptTokenIds.length + outputTokenIds.length >= maxTokens) {
      throw new InvalidRequestError(
        `request ${requestId} is resumed with ${outputTokenIds.length} output tokens and has room for no other`,
      );
    }
    const sequence = new EngineSequence({
      seqId: this.#numSequences++,
      requestId,
      promptTokenIds,
      maxTokens,
      priority: params.priority,
      arrivalTime,
    });
    if (!this.#parts.blockManager.canEverFit(sequence)) throw this.#outOfBlocks(maxTokens);
    const request = new EngineRequest({ sequence, params, sink, spec, tokenizer, ...(parent ? { parent } : {}) });
    request.resume(outputTokenIds);
    for (const each of signals) request.follow(each, () => live.abort(request, each?.reason));
    live.add(request);
    return this.#handleOf(request);
  }

  #refuse(error: Error, requestId: string, sink: RequestSink): RequestHandle {
    this.#parts.stats.requestsRefused++;
    this.#parts.hub.emit({ type: "request-error", requestId, error });
    sink.error(error, requestId);
    return { requestId, cancel: () => {}, setPaused: () => {} };
  }

  #outOfBlocks(maxTokens: number): OutOfBlocksError {
    const { numBlocks, blockSize } = this.#parts.blockManager;
    return new OutOfBlocksError(
      `the request may reach ${maxTokens} tokens, but the KV cache holds ${numBlocks * blockSize} (${numBlocks} blocks of ${blockSize}); ` +
        "lower maxTokens or raise kvCacheBytes",
    );
  }

  /** A wrong id is refused with the other options; until then the request needs a name. */
  #nameOf(options: GenerateOptions): string {
    const given: unknown = options?.requestId;
    if (typeof given === "string") return given;
    for (;;) {
      const name = `req-${++this.#numNames}`;
      if (!this.#parts.live.get(name) && !this.#pending.has(name)) return name;
    }
  }

  #handleOf(request: EngineRequest): RequestHandle {
    const { live, wake } = this.#parts;
    return {
      requestId: request.requestId,
      cancel: () => live.cancel(request),
      setPaused: (paused) => {
        request.sequence.paused = paused;
        if (!paused) wake();
      },
    };
  }
}

function aborted(requestId: string, signal: AbortSignal): AbortedError {
  return new AbortedError(`request ${requestId} was aborted before it started`, { cause: signal.reason });
}

/** @returns the most tokens the sequence may have, prompt included */
function sequenceLength(promptTokens: number, maxTokens: number | undefined, maxModelLen: number): number {
  const room = maxModelLen - promptTokens;
  if (room < 1) {
    throw new ContextLengthError(
      `the prompt has ${promptTokens} tokens and the context holds ${maxModelLen}, output included; shorten the prompt or raise maxModelLen`,
    );
  }
  if (maxTokens !== undefined && maxTokens > room) {
    throw new ContextLengthError(
      `maxTokens is ${maxTokens} after a prompt of ${promptTokens} tokens, and the context holds ${maxModelLen}; ` +
        `ask for at most ${room}, shorten the prompt or raise maxModelLen`,
    );
  }
  return promptTokens + (maxTokens ?? room);
}

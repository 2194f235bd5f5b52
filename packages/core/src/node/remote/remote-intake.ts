/**
 * RemoteIntake: what happens at the host when a stream is consumed: check what can be checked without a tokenizer, and
 * put the request among the mirrored ones. The same refusals as in process, at once where the host can tell.
 */
import type { ChatMessage, EngineInfo, GenerateOptions, Prompt } from "../../contracts/index.js";
import { asError } from "../../engine/as-error.js";
import { validateGenerateOptions } from "../../engine/sampling-params.js";
import { validateMessages, validatePromptTokenIds } from "../../engine/validate-prompt.js";
import { AbortedError, ContextLengthError, InvalidRequestError } from "../../errors/index.js";
import type { EventHub } from "../../stream/event-hub.js";
import type { RequestHandle, RequestSink } from "../../stream/request-sink.js";
import type { WirePrompt } from "./messages.js";
import { MirroredRequest } from "./mirrored-request.js";
import type { RequestMirror } from "./request-mirror.js";
import type { Json } from "./schema.js";
import { toWireOptions } from "./wire-options.js";

export interface RemoteIntakeParts {
  readonly hub: EventHub;
  readonly mirror: RequestMirror;
  readonly info: () => EngineInfo;
  /** @throws what every request fails with from now on */
  readonly checkOpen: () => void;
}

/** One consumption of a stream. */
export interface RemoteOrder {
  readonly options: GenerateOptions;
  /** Called once; may throw. */
  readonly read: () => PromptRead;
}

interface PromptRead {
  readonly prompt: WirePrompt;
  readonly parent: number | null;
}

export class RemoteIntake {
  readonly #parts: RemoteIntakeParts;
  #numRequests = 0;
  #numNames = 0;

  constructor(parts: RemoteIntakeParts) {
    this.#parts = parts;
  }

  /** @param signal of this consumption, beside the one in the options */
  start(order: RemoteOrder, sink: RequestSink, signal?: AbortSignal): RequestHandle {
    const requestId = this.#nameOf(order.options);
    try {
      return this.#accept(order, requestId, sink, signal);
    } catch (thrown) {
      return this.#refuse(asError(thrown), requestId, sink);
    }
  }

  readPrompt(prompt: Prompt): PromptRead {
    if (typeof prompt === "string") return { prompt: { text: prompt }, parent: null };
    if (Array.isArray(prompt) && typeof prompt[0] === "object") return this.readMessages(prompt as readonly ChatMessage[], {});
    const { vocabSize, limits } = this.#parts.info();
    return { prompt: { ids: Array.from(validatePromptTokenIds(prompt, vocabSize, limits.maxModelLen)) }, parent: null };
  }

  readMessages(messages: readonly ChatMessage[], render: object): PromptRead {
    const checked = validateMessages(messages);
    try {
      const prompt = JSON.parse(JSON.stringify({ messages: checked, render })) as { messages: Json; render: { [key: string]: Json } };
      return { prompt, parent: null };
    } catch (cause) {
      throw new InvalidRequestError("messages, tools and template variables must be plain data", { cause });
    }
  }

  readFork(requestId: string): PromptRead {
    const parent = this.#parts.mirror.get(requestId);
    if (!parent?.promptTokenIds) throw new InvalidRequestError(`fork: no request ${JSON.stringify(requestId)} is running`);
    return { prompt: { ids: [...parent.promptTokenIds, ...parent.outputTokenIds] }, parent: parent.id };
  }

  #accept(order: RemoteOrder, requestId: string, sink: RequestSink, signal: AbortSignal | undefined): RequestHandle {
    const { mirror, info } = this.#parts;
    this.#parts.checkOpen();
    const signals = [signal, order.options?.signal];
    for (const each of signals) {
      if (each?.aborted) throw new AbortedError(`request ${requestId} was aborted before it started`, { cause: each.reason });
    }
    const { vocabSize, limits } = info();
    const params = validateGenerateOptions(order.options, { vocabSize, maxModelLen: limits.maxModelLen });
    const options = toWireOptions(params);
    const { prompt, parent } = order.read();
    if ("ids" in prompt) checkRoom(prompt.ids.length, limits.maxModelLen);
    const request = new MirroredRequest({
      id: this.#numRequests++,
      requestId,
      sink,
      prompt,
      options,
      parent,
      arrivalTime: performance.now(),
      deadlineMs: params.deadlineMs,
    });
    const handle = mirror.add(request);
    for (const each of signals) request.follow(each, () => mirror.abort(request, each?.reason));
    return handle;
  }

  #refuse(error: Error, requestId: string, sink: RequestSink): RequestHandle {
    const { mirror, hub } = this.#parts;
    mirror.counts.refused++;
    hub.emit({ type: "request-error", requestId, error });
    sink.error(error, requestId);
    return { requestId, cancel: () => {}, setPaused: () => {} };
  }

  #nameOf(options: GenerateOptions): string {
    const given: unknown = options?.requestId;
    if (typeof given === "string") return given;
    for (;;) {
      const name = `req-${++this.#numNames}`;
      if (!this.#parts.mirror.get(name)) return name;
    }
  }
}

/** A fork may have come to the end of its context. */
function checkRoom(promptTokens: number, maxModelLen: number): void {
  if (promptTokens < maxModelLen) return;
  throw new ContextLengthError(
    `the prompt has ${promptTokens} tokens and the context holds ${maxModelLen}, output included; shorten the prompt or raise maxModelLen`,
  );
}

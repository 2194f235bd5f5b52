/**
 * LLMEngine: requests in, streams of tokens out; one engine serves one model. `#step()` is the map of the program.
 * It never throws because of one request: a request's error goes to its own stream.
 * Made by `createEngine`; tests may build it from EngineParts.
 */
import type { ChatMessage, DisposeOptions, Engine, GenerateOptions } from "../contracts/index.js";
import { DisposedError, InvalidRequestError, NotSupportedError } from "../errors/index.js";
import { TokenStream, type EngineEvents } from "../stream/index.js";
import type { RequestHandle, RequestSink, StartRequest } from "../stream/request-sink.js";
import { EngineLoop } from "./engine-loop.js";
import type { EngineInfo, EngineParts } from "./engine-parts.js";
import { EngineStats, type EngineStatsSnapshot } from "./engine-stats.js";
import { readForwarded, type ForwardedRequest } from "./forwarded-request.js";
import { LiveRequests } from "./live-requests.js";
import { readMessages, readPrompt, splitChatOptions, type ChatOptions, type Prompt } from "./prompt.js";
import { RequestIntake, type PromptRead, type RequestOrder } from "./request-intake.js";
import { StepFailures } from "./step-failures.js";
import { wireStep, type StepStages } from "./step-stages.js";

export class LLMEngine implements Engine {
  /** Model, backend, what was chosen, limits and memory plan. */
  readonly info: EngineInfo;
  /** Hot: what happens to requests and in steps. Completes when the engine is disposed. */
  readonly events$: EngineEvents;
  readonly #parts: EngineParts;
  readonly #stats = new EngineStats();
  readonly #live: LiveRequests;
  readonly #intake: RequestIntake;
  readonly #stages: StepStages;
  readonly #failures: StepFailures;
  readonly #loop: EngineLoop;
  /** On the platform's clock; NaN between steps. */
  #stepBeganAt = NaN;
  #draining = false;
  #disposed = false;
  #disposal: Promise<void> | undefined;

  constructor(parts: EngineParts) {
    const { runner, hub } = parts;
    const { now, yieldToEventLoop } = parts.platform;
    const stats = this.#stats;
    const wake = (): void => this.#loop.wake();
    const live = new LiveRequests({ ...parts, stats, now, wake });
    const checkOpen = (wasThere?: boolean): void => this.#checkOpen(wasThere);
    this.info = parts.info;
    this.events$ = hub.events$;
    this.#parts = parts;
    this.#live = live;
    this.#intake = new RequestIntake({ ...parts, spec: runner.spec, limits: runner.limits, live, stats, now, checkOpen, wake });
    this.#stages = wireStep(parts, live, stats);
    this.#failures = new StepFailures(parts, live, stats);
    const body = { hasWork: () => live.hasWork(), isBlocked: () => live.allPaused, step: () => this.#guardedStep() };
    this.#loop = new EngineLoop(body, yieldToEventLoop);
  }

  /**
   * A stream of tokens that continues the prompt. Nothing happens until it is consumed; each consumption is a
   * request. What is wrong with a request is that stream's error: InvalidRequestError, ContextLengthError,
   * OutOfBlocksError, NotSupportedError, TimeoutError, AbortedError, NonFiniteLogitsError, EngineRestartedError,
   * DisposedError, or what a plug-in threw.
   *
   * @param prompt text, token ids, or messages for the model's chat template
   * @example
   * for await (const event of engine.generate("To be", { maxTokens: 20 })) {
   *   if (event.type === "token") process.stdout.write(event.text);
   * }
   */
  generate(prompt: Prompt, options: GenerateOptions = {}): TokenStream {
    return this.#stream({ options, read: () => asRead(readPrompt(prompt, options, this.#parts)) });
  }

  /** The model's answer to a conversation, through its chat template. */
  chat(messages: readonly ChatMessage[], options: ChatOptions = {}): TokenStream {
    const { render, generate } = splitChatOptions(options);
    return this.#stream({ options: generate, read: () => asRead(readMessages(messages, render, this.#parts)) });
  }

  /**
   * A request that continues from the tokens that `requestId` has when the stream is consumed, with options of its
   * own. They are its prompt, and it shares their KV blocks. InvalidRequestError when no such request is running.
   */
  fork(requestId: string, options: GenerateOptions = {}): TokenStream {
    const read: RequestOrder["read"] = () => {
      const parent = this.#live.get(requestId);
      if (!parent) throw new InvalidRequestError(`fork: no request ${JSON.stringify(requestId)} is running`);
      const { tokenIds, numTokens } = parent.sequence;
      return { promptTokenIds: tokenIds.slice(0, numTokens), parent };
    };
    return this.#stream({ options, read });
  }

  /** Ends a running request with an AbortedError. @returns whether there was one */
  abort(requestId: string): boolean {
    const request = this.#live.get(requestId);
    if (request) this.#live.abort(request);
    return request !== undefined || this.#intake.abort(requestId);
  }

  /**
   * The token ids that `generate` would make of a text.
   * @throws NotSupportedError when the model has no tokenizer
   */
  encode(text: string): Int32Array {
    const { tokenizer } = this.#parts;
    if (!tokenizer) throw new NotSupportedError("the model has no tokenizer; pass one as the tokenizer option");
    return tokenizer.encode(text);
  }

  stats(): EngineStatsSnapshot {
    const { scheduler, blockManager, runner } = this.#parts;
    return this.#stats.snapshot(this.#live.size, scheduler.stats(), blockManager.stats(), runner.memory());
  }

  /** Milliseconds that the step in flight has taken so far; 0 between steps. For watchdogs. */
  stepMs(): number {
    return Number.isNaN(this.#stepBeganAt) ? 0 : this.#parts.platform.now() - this.#stepBeganAt;
  }

  /**
   * One request of another process, with where its events go; see `serveEngine`.
   * @internal
   */
  submit(request: ForwardedRequest, sink: RequestSink): RequestHandle {
    return this.#intake.start({ options: request.options, read: () => readForwarded(request, this.#parts, this.#live) }, sink);
  }

  /** Resolves when no request is left, those included that arrive meanwhile. */
  async drain(): Promise<void> {
    await this.#intake.idle();
    await this.#loop.idle();
  }

  /**
   * Fails running requests with DisposedError, after `drainMs` in which they may end, waits for the step in flight,
   * disposes what the engine made, last made first. Idempotent: every call waits for the same end; one without
   * `drainMs` brings it on.
   */
  async dispose({ drainMs = 0 }: DisposeOptions = {}): Promise<void> {
    this.#draining = true;
    if (drainMs > 0 && !this.#disposal) await within(this.drain(), drainMs);
    this.#disposal ??= this.#dispose();
    await this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  /** @returns whether anything ran */
  async #step(): Promise<boolean> {
    const { scheduler, runner } = this.#parts;
    const { inputs, rows, outputs, report } = this.#stages;
    const scheduled = report.scheduled(scheduler.schedule());
    const copies = this.#live.takeCopies(scheduled.copies);
    if (copies) await runner.copyBlocks(copies);
    if (scheduled.numBatchedTokens === 0) return false;
    const input = report.executing(inputs.build(scheduled));
    const output = report.executed(await runner.execute(input));
    rows.sample(inputs.batch, input, output);
    const finished = outputs.process(scheduled, inputs.batch, input, output);
    scheduler.update({ scheduled, finished });
    report.end(scheduled, output);
    return true;
  }

  /** Never rejects: a step that fails is StepFailures' business. */
  async #guardedStep(): Promise<boolean> {
    this.#stepBeganAt = this.#parts.platform.now();
    this.#live.openStep();
    this.#stages.report.begin();
    try {
      return await this.#step();
    } catch (error) {
      this.#live.closeStep();
      if (!this.#disposed) await this.#failures.handle(error);
      return true;
    } finally {
      this.#live.closeStep();
      this.#stepBeganAt = NaN;
    }
  }

  #stream(order: RequestOrder): TokenStream {
    const start: StartRequest = (sink, signal) => this.#intake.start(order, sink, signal);
    return new TokenStream(start, this.#parts.hub.reportConsumerError, order.options?.bufferLimit);
  }

  /** @param wasThere its request came before draining began */
  #checkOpen(wasThere = false): void {
    if (this.#disposed || (this.#draining && !wasThere)) throw new DisposedError("the engine was disposed; create another");
  }

  async #dispose(): Promise<void> {
    this.#disposed = true;
    const disposed = new DisposedError("the engine was disposed while the request was running");
    this.#intake.failPending(disposed);
    this.#live.failAll(disposed);
    await this.#loop.stop();
    this.#live.settle();
    this.#parts.hub.complete();
    await this.#parts.owned.disposeAll();
  }
}

/** Settles with the promise, or after `ms`. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  await Promise.race([promise, new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))]);
  clearTimeout(timer);
}

function asRead(ids: Int32Array | Promise<Int32Array>): PromptRead | Promise<PromptRead> {
  return ids instanceof Promise ? ids.then((promptTokenIds) => ({ promptTokenIds })) : { promptTokenIds: ids };
}

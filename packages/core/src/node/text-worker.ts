/**
 * TextWorker: tokenizer and chat template on a thread that can be stopped, for long or hostile inputs.
 * In: texts and messages. Out: ids and renderings, or a TimeoutError. Made by the model folder reader; the thread
 * starts with the first job, takes one job at a time, and ends after some idle seconds.
 */
import type { Worker } from "node:worker_threads";
import type { ChatMessage, EncodeOptions, RenderedChat, RenderOptions } from "../contracts/index.js";
import { fromWireError, InvalidRequestError, ModelLoadError, TimeoutError, type WireError } from "../errors/index.js";
import { startWorker } from "./start-worker.js";
import type { OffThreadText } from "./text-side.js";

export interface TextWorkerOptions {
  /** Milliseconds for one job. Default 10,000. */
  readonly timeoutMs?: number;
  /** MiB of heap for the thread. Default 1,024. */
  readonly maxHeapMb?: number;
  /** Milliseconds without a job after which the thread ends. Default 10,000. */
  readonly idleMs?: number;
}

/** What the thread is sent. */
export type TextJob =
  | { readonly type: "encode"; readonly text: string; readonly options: EncodeOptions }
  | { readonly type: "render"; readonly messages: readonly ChatMessage[]; readonly options: RenderOptions };

/** What it answers: "ready" once, then one answer per job. */
export type TextAnswer =
  | { readonly type: "ready" }
  | { readonly type: "result"; readonly value: unknown }
  | { readonly type: "error"; readonly error: WireError };

/** Reading the largest tokenizers takes seconds on a slow machine. */
const START_MS = 60_000;

export class TextWorker implements OffThreadText {
  readonly #folder: string;
  readonly #timeoutMs: number;
  readonly #maxHeapMb: number;
  readonly #idleMs: number;
  #worker: Promise<Worker> | undefined;
  #running: Worker | undefined;
  #idle: NodeJS.Timeout | undefined;
  /** The last job; the next one waits for it. */
  #tail: Promise<unknown> = Promise.resolve();

  /** @param folder a model folder's real path */
  constructor(folder: string, { timeoutMs = 10_000, maxHeapMb = 1024, idleMs = 10_000 }: TextWorkerOptions = {}) {
    this.#folder = folder;
    this.#timeoutMs = timeoutMs;
    this.#maxHeapMb = maxHeapMb;
    this.#idleMs = idleMs;
  }

  encode(text: string, options: EncodeOptions = {}): Promise<Int32Array> {
    return this.#enqueue({ type: "encode", text, options }) as Promise<Int32Array>;
  }

  render(messages: readonly ChatMessage[], options: RenderOptions = {}): Promise<RenderedChat> {
    return this.#enqueue({ type: "render", messages, options }) as Promise<RenderedChat>;
  }

  #enqueue(job: TextJob): Promise<unknown> {
    const result = this.#tail.then(() => this.#run(job));
    this.#tail = result.catch(() => {});
    return result;
  }

  async #run(job: TextJob): Promise<unknown> {
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    try {
      const worker = await this.#worker;
      worker.ref();
      postJob(worker, job);
      const answer = await nextAnswer(worker, this.#timeoutMs, `${job.type} of ${sizeOf(job)} characters`);
      worker.unref();
      this.#idle = setTimeout(() => this.#stop(), this.#idleMs).unref();
      if (answer.type === "error") throw new JobError(answer.error);
      return answer.type === "result" ? answer.value : undefined;
    } catch (error) {
      if (error instanceof JobError) throw fromWireError(error.wire);
      this.#stop();
      throw error;
    }
  }

  async #start(): Promise<Worker> {
    const worker = startWorker(import.meta.url, "./text-worker-thread.js", {
      workerData: { folder: this.#folder },
      resourceLimits: { maxOldGenerationSizeMb: this.#maxHeapMb },
    });
    this.#running = worker;
    // Between jobs nobody waits for an answer; the next job then starts another thread.
    worker.on("error", () => {});
    worker.once("exit", () => {
      if (this.#running === worker) this.#worker = this.#running = undefined;
    });
    const answer = await nextAnswer(worker, START_MS, "reading the tokenizer");
    if (answer.type === "error") throw fromWireError(answer.error);
    return worker;
  }

  #stop(): void {
    clearTimeout(this.#idle);
    const worker = this.#running;
    this.#worker = this.#running = undefined;
    void worker?.terminate();
  }
}

/** The job failed and the thread is well. */
class JobError extends Error {
  readonly wire: WireError;

  constructor(wire: WireError) {
    super(wire.message);
    this.wire = wire;
  }
}

function postJob(worker: Worker, job: TextJob): void {
  try {
    worker.postMessage(job);
  } catch (cause) {
    throw new InvalidRequestError("messages, tools and template variables must be plain data", { cause });
  }
}

/** @throws TimeoutError; InvalidRequestError when the thread died of the input */
function nextAnswer(worker: Worker, timeoutMs: number, what: string): Promise<TextAnswer> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer);
      worker.off("message", onMessage).off("error", onError).off("exit", onExit);
      act();
    };
    const onMessage = (answer: TextAnswer): void => settle(() => resolve(answer));
    const onError = (cause: NodeJS.ErrnoException): void =>
      settle(() => {
        const memory = cause.code === "ERR_WORKER_OUT_OF_MEMORY";
        reject(
          memory
            ? new InvalidRequestError(`${what} takes too much memory; shorten the input`, { cause })
            : new ModelLoadError(`${what} failed: ${cause.message}`, { cause }),
        );
      });
    const onExit = (code: number): void => settle(() => reject(new ModelLoadError(`${what} failed: its thread ended with code ${code}`)));
    const timer = setTimeout(() => {
      settle(() => reject(new TimeoutError(`${what} took longer than ${timeoutMs} ms; shorten the input`)));
      void worker.terminate();
    }, timeoutMs);
    worker.on("message", onMessage).on("error", onError).on("exit", onExit);
  });
}

function sizeOf(job: TextJob): number {
  return job.type === "encode" ? job.text.length : job.messages.reduce((sum, { content }) => sum + content.length, 0);
}

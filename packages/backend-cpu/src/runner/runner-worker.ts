/**
 * Entry of the runner's worker thread: takes calls from the caller's thread in order, answers each once.
 * All work is synchronous between messages, except loading; a call that arrives meanwhile waits its turn.
 */
import { parentPort } from "node:worker_threads";
import { InternalError, fromWireError, toWireError, type ModelInput } from "@weir/core";
import type { FromWorker, HostCall, RunnerCall, StepReply, ToWorker } from "./messages.js";
import { ModelExecutor } from "./model-executor.js";

const port = parentPort;
if (!port) throw new InternalError("runner-worker must be started as a worker thread");

const abort = new AbortController();
const hostCalls = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
let nextHostCall = 0;
let executor: ModelExecutor | undefined;
let input: ModelInput | undefined;
/** Calls run one after the other: a dispose that arrives during a load waits for it. */
let turn: Promise<void> = Promise.resolve();

// A plug-in's process.exit(), or an error nobody caught: sessions are the process's and would outlive this thread.
process.on("exit", () => void executor?.dispose());

port.on("message", (message: ToWorker) => {
  if (message.type === "abort") return abort.abort();
  if (message.type === "host-reply") return onHostReply(message);
  turn = turn.then(() => answer(message.id, message.call));
});

async function answer(id: number, call: RunnerCall): Promise<void> {
  try {
    post({ type: "reply", id, value: await perform(call) });
  } catch (error) {
    post({ type: "reply", id, error: toWireError(error) });
  }
}

function perform(call: RunnerCall): unknown {
  switch (call.method) {
    case "load":
      return load(call);
    case "input":
      input = call.input;
      return undefined;
    case "execute":
      return step(call);
    case "copy-blocks":
      return loaded().attention.copyBlocks(call.pairs);
    case "read-blocks":
      return forEachBlock(call.blockIds, call.into, (block, bytes) => loaded().attention.readBlock(block, bytes));
    case "write-blocks":
      return forEachBlock(call.blockIds, call.from, (block, bytes) => loaded().attention.writeBlock(block, bytes));
    case "dispose":
      return executor?.dispose();
  }
}

async function load({ request }: Extract<RunnerCall, { method: "load" }>): Promise<unknown> {
  executor = await ModelExecutor.load(request, {
    hostCall,
    onProgress: (progress) => post({ type: "progress", progress }),
    signal: abort.signal,
  });
  return executor.describe();
}

function step(call: Extract<RunnerCall, { method: "execute" }>): StepReply {
  if (!input) throw new InternalError("execute was called before the input was shared");
  input.numTokens = call.numTokens;
  input.numSeqs = call.numSeqs;
  input.numRows = call.numRows;
  return loaded().execute(input);
}

function forEachBlock(blockIds: Int32Array, bytes: Uint8Array, visit: (block: number, bytes: Uint8Array) => void): void {
  const size = loaded().attention.blockBytes;
  for (let i = 0; i < blockIds.length; i++) visit(blockIds[i]!, bytes.subarray(i * size, (i + 1) * size));
}

function hostCall(call: HostCall): Promise<unknown> {
  const id = nextHostCall++;
  return new Promise((resolve, reject) => {
    hostCalls.set(id, { resolve, reject });
    post({ type: "host-call", id, call });
  });
}

function onHostReply(message: Extract<ToWorker, { type: "host-reply" }>): void {
  const call = hostCalls.get(message.id);
  hostCalls.delete(message.id);
  if (message.error) call?.reject(fromWireError(message.error));
  else call?.resolve(message.value);
}

function loaded(): ModelExecutor {
  if (!executor) throw new InternalError("the runner's worker was used before its load ended");
  return executor;
}

function post(message: FromWorker): void {
  port!.postMessage(message);
}

/** The thread behind TextWorker: opens the text side of a model folder, then answers one job after the other. */
import { parentPort, workerData } from "node:worker_threads";
import { InvalidRequestError, toWireError } from "../errors/index.js";
import { readTextSide, type TextSide } from "./text-side.js";
import type { TextAnswer, TextJob } from "./text-worker.js";

const port = parentPort;
if (port) {
  try {
    const side = await readTextSide((workerData as { readonly folder: string }).folder);
    port.on("message", (job: TextJob) => port.postMessage(answer(side, job)));
    port.postMessage({ type: "ready" } satisfies TextAnswer);
  } catch (error) {
    port.postMessage({ type: "error", error: toWireError(error) } satisfies TextAnswer);
    port.close();
  }
}

function answer(side: TextSide, job: TextJob): TextAnswer {
  try {
    return { type: "result", value: run(side, job) };
  } catch (error) {
    return { type: "error", error: toWireError(error) };
  }
}

function run({ tokenizer, chatTemplate }: TextSide, job: TextJob): unknown {
  if (job.type === "encode" && tokenizer) return tokenizer.encode(job.text, job.options);
  if (job.type === "render" && chatTemplate) return chatTemplate.render(job.messages, job.options);
  throw new InvalidRequestError(`the model folder has nothing to ${job.type} with`);
}

/**
 * Lifeline: ends this process when its parent is gone, even while the main thread is stuck in a native call. A thread
 * of its own waits for the end of a pipe that the parent holds and never writes to. In: the pipe. Out: at worst SIGKILL.
 */
import type { Worker } from "node:worker_threads";
import { startWorker } from "../start-worker.js";

/** Milliseconds that the main thread has to end the process itself. */
export const LIFELINE_GRACE_MS = 2000;

/** Does not keep the process alive. */
export function holdLifeline(fd: number): Worker {
  const worker = startWorker(import.meta.url, "./lifeline-thread.js", { workerData: { fd, graceMs: LIFELINE_GRACE_MS } });
  worker.on("error", (error) => console.error("weir: the lifeline to the parent process failed:", error));
  worker.unref();
  return worker;
}

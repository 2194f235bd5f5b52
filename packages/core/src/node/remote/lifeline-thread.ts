/** The thread of `lifeline.ts`: waits for the parent's end of a pipe to close, then kills the process. */
import { Socket } from "node:net";
import { workerData } from "node:worker_threads";

const { fd, graceMs } = workerData as { readonly fd: number; readonly graceMs: number };

const pipe = new Socket({ fd, readable: true, writable: false });
pipe.on("error", () => {});
pipe.once("close", () => setTimeout(() => process.kill(process.pid, "SIGKILL"), graceMs));
pipe.resume();

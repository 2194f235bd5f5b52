/**
 * Starts a worker from a module of ours, whatever this process was started with. In: the module. Out: the Worker.
 * Called by the text worker and by backends that keep their runner in a thread.
 */
import { Worker, type WorkerOptions } from "node:worker_threads";
import { builtModule } from "../platform/built-module.js";

/**
 * @param base the caller's `import.meta.url`
 * @param path of the worker's entry relative to it, ending in `.js`
 */
export function startWorker(base: string, path: string, options: WorkerOptions = {}): Worker {
  return new Worker(new URL(path, builtModule(base)), { ...(inheritsNothing(base) ? { execArgv: [] } : {}), ...options });
}

/**
 * Flags of the process that a worker would inherit and cannot take: how `node -e` reads its text, and what makes
 * tests run the sources while the worker runs their built twin.
 */
function inheritsNothing(base: string): boolean {
  return base.endsWith(".ts") || process.execArgv.some((flag) => flag.startsWith("--input-type"));
}

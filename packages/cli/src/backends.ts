/**
 * The backends by name. A backend's package, and the native library in it, is imported when it is asked for; so a
 * machine without one of them loses that backend alone.
 */
import { BackendUnavailableError, type Backend } from "@weir/core";
import { UsageError } from "./flags.js";

export const BACKEND_NAMES = ["cpu", "cuda", "webgpu", "reference"] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

const MAKERS: Readonly<Record<BackendName, (threads: number | undefined) => Promise<Backend>>> = {
  cpu: async (threads) => (await import("@weir/backend-cpu")).cpuBackend(threads === undefined ? {} : { threads }),
  cuda: async () => (await import("@weir/backend-cuda")).cudaBackend(),
  webgpu: async () => (await import("@weir/backend-webgpu")).webgpuBackend(),
  reference: async () => (await import("@weir/core/testing")).referenceBackend(),
};

/**
 * Loads nothing yet: what a machine lacks is found when a model is loaded.
 * @param threads of the cpu backend; no other takes them
 * @throws UsageError for a name or threads that do not fit; BackendUnavailableError when the package is not installed
 */
export async function makeBackend(name: string, threads?: number): Promise<Backend> {
  const known = BACKEND_NAMES.find((candidate) => candidate === name);
  if (!known) throw new UsageError(`--backend is '${name}'; it takes ${BACKEND_NAMES.join(", ")}`);
  if (threads !== undefined && known !== "cpu")
    throw new UsageError(`--threads is for the cpu backend; leave it out with --backend ${name}`);
  try {
    return await MAKERS[known](threads);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new BackendUnavailableError(`backend ${name} is not installed (${(error as Error).message}); install @weir/backend-${name}`, {
      cause: error,
    });
  }
}

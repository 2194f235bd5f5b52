/** The module that tests give to `remoteEngine`: JSON options to an engine on the CPU backend, in a child process. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine as create } from "@weir/core";

export function createEngine({ cpu, ...options }, load) {
  return create({ ...options, ...load, backend: cpuBackend(cpu) });
}

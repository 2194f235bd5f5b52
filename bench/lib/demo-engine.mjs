/** The module that `remoteEngine` loads in its child for bench/remote-engine.mjs: JSON options to an engine on the CPU. */
import { cpuBackend } from "@weir/backend-cpu";
import { createEngine as create } from "@weir/core";

/** @param {any} options @param {import("@weir/core/node").ChildLoad} load */
export function createEngine(options, load) {
  return create({ ...options, ...load, backend: cpuBackend() });
}

/**
 * Engines over the CPU backend for tests: the demo model unless told otherwise, weights that must be made kept in a
 * folder of the test file's own, and a check at the end that nothing was kept.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createEngine, type EngineOptions, type LLMEngine } from "@weir/core";
import { withEngine as useEngine } from "@weir/core/testing";
import { afterAll } from "vitest";
import { cpuBackend, type CpuBackendOptions } from "../cpu-backend.js";
import { DEMO_MODEL } from "./test-models.js";

export { assertIdle, greedyIds, tokenEvents, type TokenOf } from "@weir/core/testing";

export type CpuEngineOptions = Partial<EngineOptions> & { readonly cpu?: CpuBackendOptions };

/** Removed after the test file that imports this. */
export const TEST_CACHE: string = mkdtempSync(join(tmpdir(), "weir-cpu-test-"));
afterAll(() => rmSync(TEST_CACHE, { recursive: true, force: true }));

/** Two threads, whatever the machine has. */
export function cpuEngine({ cpu, ...options }: CpuEngineOptions = {}): Promise<LLMEngine> {
  return createEngine({
    model: DEMO_MODEL,
    backend: () => cpuBackend({ threads: 2, cacheDir: TEST_CACHE, ...cpu }),
    onError: () => {},
    ...options,
  });
}

/** Makes an engine, hands it to `use`, checks that nothing is left, disposes it. */
export function withEngine<T>(options: CpuEngineOptions, use: (engine: LLMEngine) => Promise<T>): Promise<T> {
  return useEngine(cpuEngine(options), use);
}

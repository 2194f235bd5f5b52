/** The backend as the deep tests run it; prepared weights go to a folder that is removed after the test file. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Backend } from "@weir/core";
import { afterAll } from "vitest";
import { cudaBackend } from "../cuda-backend.js";

export const TEST_CACHE: string = mkdtempSync(join(tmpdir(), "weir-cuda-test-"));
afterAll(() => rmSync(TEST_CACHE, { recursive: true, force: true }));

export function testBackend(): Backend {
  return cudaBackend({ provider: "webgpu", cacheDir: TEST_CACHE });
}

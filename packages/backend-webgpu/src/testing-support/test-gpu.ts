/**
 * The adapter that device tests run on: a driver that the environment names, the machine's own, or SwiftShader out of
 * Debian's chromium package. The variable must be set before Dawn is loaded: so this asks first, and imports then.
 */
import { existsSync } from "node:fs";

const SWIFTSHADER = "/usr/lib/chromium/vk_swiftshader_icd.json";

export interface TestGpu {
  readonly gpu: GPU | undefined;
  /** Why tests are skipped; empty where there is an adapter. */
  readonly reason: string;
}

/** @returns no gpu, and the reason, on a machine without an adapter */
export async function findTestGpu(): Promise<TestGpu> {
  const named = process.env["VK_DRIVER_FILES"] ?? process.env["VK_ICD_FILENAMES"];
  if (named === undefined && existsSync(SWIFTSHADER)) process.env["VK_DRIVER_FILES"] = SWIFTSHADER;
  const { defaultGpu } = await import("../gpu/dawn-gpu.js");
  try {
    const gpu = await defaultGpu();
    if (await gpu.requestAdapter()) return { gpu, reason: "" };
    return { gpu: undefined, reason: "no WebGPU adapter: apt-get install --no-install-recommends libvulkan1 chromium" };
  } catch (error) {
    return { gpu: undefined, reason: (error as Error).message };
  }
}

/** For `describe` names: says why it is skipped. */
export function titled(name: string, { gpu, reason }: TestGpu): string {
  return gpu ? name : `${name} (skipped: ${reason})`;
}

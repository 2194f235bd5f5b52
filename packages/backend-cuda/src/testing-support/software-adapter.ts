/**
 * The software adapter that the deep tests run the graph on: Mesa's lavapipe, which has the 16-bit floats that the graph
 * needs. Sets the environment, which the native libraries read once: import this before anything loads them.
 */
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const LAVAPIPE = "/usr/share/vulkan/icd.d/lvp_icd.json";
const INSTALL = "install mesa-vulkan-drivers and libvulkan1 from bookworm-backports";

/** Why there is no adapter; undefined where there is one. WEIR_TEST_GPU=1 takes whatever adapter the machine has. */
export const NO_ADAPTER: string | undefined = findAdapter();

function findAdapter(): string | undefined {
  // A cold compile of an attention kernel takes many seconds, one from this cache a fraction of one.
  process.env["MESA_SHADER_CACHE_DIR"] ??= join(process.env["XDG_CACHE_HOME"] ?? tmpdir(), "weir-mesa-cache");
  if (process.env["WEIR_TEST_GPU"] !== undefined) return undefined;
  if (!existsSync(LAVAPIPE)) return `no software adapter; ${INSTALL}`;
  const version = (JSON.parse(readFileSync(LAVAPIPE, "utf8")) as { ICD: { api_version: string } }).ICD.api_version;
  // Debian 12's own Mesa, with Vulkan 1.3, is taken for no adapter.
  if (/^1\.[0-3]\./.test(version)) return `lavapipe has Vulkan ${version}, 1.4 is needed; ${INSTALL}`;
  process.env["VK_DRIVER_FILES"] = LAVAPIPE;
  return undefined;
}

/**
 * `#gpu` in Node: Dawn, from the `webgpu` package, loaded when first asked for. The one file that knows the package.
 */
import { BackendUnavailableError } from "@weir/core";

/**
 * What `create()` returned. When it is collected, Dawn's instance goes and every adapter and device left crashes the
 * process: so it is kept for the life of the process, across copies of this module too, and never replaced.
 */
const KEPT = Symbol.for("weir.webgpu.dawn");
const registry = globalThis as { [KEPT]?: GPU };

export const HOW_TO_GET_AN_ADAPTER: string =
  "Dawn needs a GPU driver: on Linux the Vulkan loader and the GPU's Vulkan driver " +
  "(Debian: apt-get install libvulkan1 mesa-vulkan-drivers; NVIDIA: the driver with its Vulkan part), " +
  "on macOS and Windows the system's own. Without a GPU, a software adapter runs small models: " +
  "apt-get install --no-install-recommends libvulkan1 chromium, " +
  "then start Node with VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json. `vulkaninfo --summary` shows what the loader finds";

/** @throws BackendUnavailableError when the package has no binary for this platform or it does not load */
export async function defaultGpu(): Promise<GPU> {
  try {
    const { create } = await import("webgpu");
    return (registry[KEPT] ??= create([]));
  } catch (error) {
    throw new BackendUnavailableError(
      `the webgpu package (Dawn) does not load on ${process.platform} ${process.arch}: ${(error as Error).message}; ` +
        "install it beside @weir/backend-webgpu (npm install webgpu@0.6.2), or pass the gpu option",
      { cause: error },
    );
  }
}

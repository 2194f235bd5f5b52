/** `#gpu` in a browser: the page's own. */
import { BackendUnavailableError } from "@weir/core";

export const HOW_TO_GET_AN_ADAPTER: string =
  "the browser offers none: update it, switch hardware acceleration on, and look at chrome://gpu or about:support";

/** @throws BackendUnavailableError where there is no navigator.gpu */
export async function defaultGpu(): Promise<GPU> {
  const gpu = (globalThis as { readonly navigator?: { readonly gpu?: GPU } }).navigator?.gpu;
  if (gpu) return gpu;
  throw new BackendUnavailableError(
    "this browser has no navigator.gpu; it needs WebGPU (Chrome 113, Safari 26, Firefox 141 or newer) and a secure page (https or localhost)",
  );
}

/** `#platform` in a browser page or worker: no paths, a guess at memory, the page's clock. */
import { NotSupportedError } from "../errors/index.js";
import type { LoadedModel } from "../contracts/loaded-model.js";
import type { OpenModelOptions, Platform } from "../contracts/platform.js";

/** What a page may be given when the browser does not say. */
const ASSUMED_DEVICE_GIB = 4;

export const platform: Platform = {
  openModel(path: string, _options: OpenModelOptions): Promise<LoadedModel> {
    return Promise.reject(
      new NotSupportedError(`model is the path ${JSON.stringify(path)}, which a browser cannot open; pass a LoadedModel`),
    );
  },
  availableMemory(): number {
    const { navigator } = globalThis as { readonly navigator?: { readonly deviceMemory?: number } };
    const gib = navigator?.deviceMemory ?? ASSUMED_DEVICE_GIB;
    return (gib * 2 ** 30) / 2;
  },
  now: () => performance.now(),
  yieldToEventLoop,
};

/** A message to oneself is a task of its own, and not throttled as a timer is. */
function yieldToEventLoop(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    const done = (): void => {
      port1.close();
      resolve();
    };
    // Setting onmessage starts the port; Node's types know only `on` and addEventListener.
    Object.assign(port1, { onmessage: done });
    port2.postMessage(null);
  });
}

/**
 * Where a backend's worker finds a quantizer of ours: the URL of `create-quantizer.js` and the options to call it with.
 * Only for the classes themselves: a user's subclass cannot be made anew elsewhere and runs on the caller's thread.
 */
import { builtModule } from "@weir/core";
import type { QuantizerOptions } from "./create-quantizer.js";

export function quantizerModule(options: QuantizerOptions): { readonly url: string; readonly options: QuantizerOptions } {
  return { url: new URL("./create-quantizer.js", builtModule(import.meta.url)).href, options };
}

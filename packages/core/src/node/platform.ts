/** `#platform` in Node: models from folders, the machine's memory, setImmediate. */
import { freemem, totalmem } from "node:os";
import type { Platform } from "../contracts/platform.js";

export const platform: Platform = {
  async openModel(path, options) {
    // Late, so that an engine given a LoadedModel never loads the file readers.
    const { openModelFolder } = await import("./model-folder.js");
    return openModelFolder(path, options);
  },
  availableMemory() {
    const available = process.availableMemory?.() ?? freemem();
    // 0 where a container sets no limit.
    const constrained = process.constrainedMemory?.() || totalmem();
    return Math.min(available, constrained);
  },
  now: () => performance.now(),
  yieldToEventLoop: () => new Promise((resolve) => setImmediate(resolve)),
};

/** MODEL on the command line: a folder, a `random:` shape, or nothing for the demo model of this package. */
import { fileURLToPath } from "node:url";

/** @returns what `createEngine({ model })` takes */
export function modelArgument(argument: string | undefined): string {
  return argument ?? DEMO_MODEL;
}

/** The 5 M-parameter Llama trained on Tiny Shakespeare that ships with the package. */
export const DEMO_MODEL: string = fileURLToPath(new URL("../model/tiny-shakespeare", import.meta.url));

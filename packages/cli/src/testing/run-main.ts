/** Runs `main()` in this process and keeps what it prints; and where the fixtures lie. For tests. */
import { fileURLToPath } from "node:url";
import { main } from "../main.js";

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const MODELS: string = fileURLToPath(new URL("../../../../fixtures/models", import.meta.url));
export const LLAMA: string = `${MODELS}/llama`;

export async function runMain(...argv: string[]): Promise<Outcome> {
  const printed = { stdout: "", stderr: "" };
  const originals = { stdout: process.stdout.write, stderr: process.stderr.write };
  for (const name of ["stdout", "stderr"] as const) {
    process[name].write = (chunk: string | Uint8Array): boolean => {
      printed[name] += typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk);
      return true;
    };
  }
  try {
    const code = await main(argv);
    return { code, ...printed };
  } finally {
    process.stdout.write = originals.stdout;
    process.stderr.write = originals.stderr;
  }
}

/** Errors as the command line tells them: one line, an exit code, options by the names of their flags. */
import { WeirError, type WeirErrorCode } from "@weir/core";
import { UsageError } from "./flags.js";

/** What the caller can mend: exit code 2. Everything else is 1. */
const BAD_INPUT: ReadonlySet<WeirErrorCode> = new Set([
  "invalid_options",
  "invalid_request",
  "model_load",
  "context_length",
  "out_of_blocks",
  "backend_unavailable",
  "not_supported",
] satisfies WeirErrorCode[]);

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 2;
  return WeirError.isInstance(error) && BAD_INPUT.has(error.code) ? 2 : 1;
}

/**
 * One line.
 * @param flags names of the command's flags: where the engine's message names an option, the user reads the flag
 */
export function describeError(error: unknown, flags: readonly string[]): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = printable(message.trim() === "" ? "failed without a message; WEIR_DEBUG=1 shows where" : message);
  return WeirError.isInstance(error) ? nameFlags(line, flags) : line;
}

/** Names of files and tensors come from others: no line breaks, no terminal codes. */
function printable(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, " ").replaceAll(/\p{Cc}/gu, "?");
}

function nameFlags(line: string, flags: readonly string[]): string {
  let named = line;
  for (const flag of flags) {
    const option = OPTION_OF_FLAG[flag] ?? flag.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    // Single words such as "stop" and "seed" mean the option only as a sentence's subject.
    const pattern = /[A-Z]/.test(option) ? `\\b${option}\\b` : `(?<=^|: )${option}(?= is |\\[)`;
    named = named.replaceAll(new RegExp(pattern, "g"), `--${flag}`);
  }
  return named;
}

const OPTION_OF_FLAG: Readonly<Record<string, string>> = { "kv-cache-mb": "kvCacheBytes" };

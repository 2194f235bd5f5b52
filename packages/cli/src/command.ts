/** Command: what each file in `commands/` exports; `main.ts` finds, parses and runs it. */
import type { FlagTable, ParsedFlags } from "./flags.js";

export interface Command {
  /** One line, e.g. `weir run [MODEL] [-p TEXT]`. */
  readonly usage: string;
  /** A sentence or a few lines for `--help`. */
  readonly about: string;
  readonly flags: FlagTable;
  readonly maxPositionals: number;
  /**
   * @returns the exit code
   * @throws UsageError, WeirError
   */
  run(flags: ParsedFlags): Promise<number>;
}

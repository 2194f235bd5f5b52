/**
 * The `weir` command: picks a command, parses its flags, runs it, turns errors into one line and an exit code.
 * 0 done, 1 failed, 2 bad input; never a stack trace unless WEIR_DEBUG is set.
 */
import { readFileSync } from "node:fs";
import type { Command } from "./command.js";
import { describeError, exitCodeOf } from "./errors.js";
import { parseFlags, UsageError, type FlagTable } from "./flags.js";
import { commandHelp, HELP } from "./help.js";

// Commands load on demand: `weir --help` must not load a runtime.
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import("./commands/run.js")).run,
  chat: async () => (await import("./commands/chat.js")).chat,
  generate: async () => (await import("./commands/generate.js")).generate,
  inspect: async () => (await import("./commands/inspect.js")).inspect,
  bench: async () => (await import("./commands/bench.js")).bench,
  doctor: async () => (await import("./commands/doctor.js")).doctor,
};

const HELP_FLAG: FlagTable = { help: { kind: "boolean", short: "h", about: "this list" } };

/** @returns the exit code */
export async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  let command: Command | undefined;
  try {
    if (name === undefined || name === "help" || name === "--help" || name === "-h") return print(HELP);
    if (name === "--version" || name === "-v") return print(`${version()}\n`);
    command = await findCommand(name);
    const flags = parseFlags(rest, { ...command.flags, ...HELP_FLAG }, command.maxPositionals);
    if (flags.boolean("help")) return print(commandHelp({ ...command, flags: { ...command.flags, ...HELP_FLAG } }));
    return await command.run(flags);
  } catch (error) {
    process.stderr.write(`weir: ${describeError(error, Object.keys(command?.flags ?? {}))}\n`);
    if (process.env["WEIR_DEBUG"] && error instanceof Error) process.stderr.write(`${error.stack}\n`);
    return exitCodeOf(error);
  }
}

async function findCommand(name: string): Promise<Command> {
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!load) throw new UsageError(`unknown command '${name}'; known: ${Object.keys(COMMANDS).join(", ")}`);
  return load();
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

function version(): string {
  const manifest = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(manifest) as { version: string }).version;
}

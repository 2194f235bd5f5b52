/**
 * Command line flags: strict parsing on node:util's parseArgs. Names, kinds and whole numbers are checked here,
 * ranges by the engine. In: argv of one command and its flag table. Out: typed values, or a UsageError.
 */
import { parseArgs } from "node:util";

/** Bad command line: exit code 2, one line. */
export class UsageError extends Error {}

export interface FlagSpec {
  /** `count`: a whole number from 1. `strings`: may be given several times. */
  readonly kind: "string" | "strings" | "number" | "count" | "boolean";
  /** What the help calls the value, e.g. "N". */
  readonly value?: string;
  readonly about: string;
  readonly short?: string;
}

export type FlagTable = Readonly<Record<string, FlagSpec>>;

export interface ParsedFlags {
  readonly positionals: readonly string[];
  string(name: string): string | undefined;
  strings(name: string): readonly string[];
  /** Of a `number` or `count` flag. */
  number(name: string): number | undefined;
  boolean(name: string): boolean;
}

/** @throws UsageError for unknown flags, missing values, words that are no numbers, too many arguments */
export function parseFlags(args: readonly string[], table: FlagTable, maxPositionals: number): ParsedFlags {
  const { values, positionals } = parse(args, table);
  if (positionals.length > maxPositionals) {
    const hint = "prompt" in table ? "; quote a prompt and pass it with -p" : "";
    throw new UsageError(`unexpected argument '${positionals[maxPositionals]}'${hint}`);
  }
  const numbers = new Map<string, number>();
  for (const [name, { kind }] of Object.entries(table)) {
    const text = values[name];
    if (typeof text === "string" && (kind === "number" || kind === "count")) numbers.set(name, toNumber(name, text, kind));
  }
  return {
    positionals,
    string: (name) => values[name] as string | undefined,
    strings: (name) => (values[name] as string[] | undefined) ?? [],
    number: (name) => numbers.get(name),
    boolean: (name) => values[name] === true,
  };
}

interface Parsed {
  readonly values: Readonly<Record<string, unknown>>;
  readonly positionals: readonly string[];
}

function parse(args: readonly string[], table: FlagTable): Parsed {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, { kind, short }]) => [
      name,
      {
        type: kind === "boolean" ? ("boolean" as const) : ("string" as const),
        multiple: kind === "strings",
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  try {
    return parseArgs({ args: joinNegativeNumbers(args, table), options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(explain(error as Error & { readonly code?: string }));
  }
}

/** `--temperature -1` is meant as one: the range check then says what is wrong with it. */
function joinNegativeNumbers(args: readonly string[], table: FlagTable): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const flag = joined.at(-1);
    const kind = flag?.startsWith("--") ? table[flag.slice(2)]?.kind : undefined;
    const negative = (kind === "number" || kind === "count") && /^-(\d|\.\d|inf)/i.test(arg);
    if (negative) joined[joined.length - 1] = `${flag}=${arg}`;
    else joined.push(arg);
  }
  return joined;
}

/** parseArgs speaks to programmers, at length. */
function explain({ code, message }: Error & { readonly code?: string }): string {
  const named = /'(-[^\s']*)[^']*'/.exec(message)?.[1] ?? "an option";
  if (code === "ERR_PARSE_ARGS_UNKNOWN_OPTION") return `unknown option '${named}'; --help lists those there are`;
  if (/does not take an argument/.test(message)) return `${named} takes no value; write it alone`;
  return `${named.replace(/,$/, "")} needs a value; one that starts with a dash goes behind an equals sign`;
}

function toNumber(name: string, text: string, kind: "number" | "count"): number {
  const value = Number(text);
  if (text.trim() === "" || Number.isNaN(value)) throw new UsageError(`--${name} is '${text}'; it takes a number`);
  if (kind === "count" && !(Number.isSafeInteger(value) && value >= 1)) {
    throw new UsageError(`--${name} is ${text}; it takes a whole number from 1`);
  }
  return value;
}

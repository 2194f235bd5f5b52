/**
 * Flags of the bench files. In: a table of flags. Out: their values, or exit code 2 with one line on stderr.
 * Each file's table is also its help.
 */
import { parseArgs } from "node:util";

/**
 * @typedef {object} Flag
 * @property {"string" | "boolean" | "count"} kind  count: a whole number from 1
 * @property {string} about
 * @property {string | number} [default]
 * @property {readonly string[]} [oneOf]  each of the comma-separated values must be one of these
 */

/**
 * @template {Record<string, Flag>} T
 * @param {string} usage  one line
 * @param {T} table
 * @returns {{ [K in keyof T]: any }}
 */
export function readFlags(usage, table) {
  try {
    return parseTable(usage, table);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

/** @param {string} usage @param {Record<string, Flag>} table */
function parseTable(usage, table) {
  const options = Object.fromEntries(
    Object.entries(table).map(([name, { kind }]) => [name, { type: kind === "boolean" ? "boolean" : "string" }]),
  );
  const { values } = parseArgs({ options: { ...options, help: { type: "boolean" } } });
  if (values.help) {
    console.log(help(usage, table));
    process.exit(0);
  }
  return Object.fromEntries(Object.entries(table).map(([name, flag]) => [name, readValue(name, flag, values[name])]));
}

/** @param {string} name @param {Flag} flag @param {string | boolean | undefined} text */
function readValue(name, flag, text) {
  if (flag.kind === "boolean") return text === true;
  if (text === undefined) return flag.default;
  if (flag.kind === "count") {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1) throw new RangeError(`--${name} is ${text}; it takes a whole number from 1`);
    return value;
  }
  const unknown = String(text)
    .split(",")
    .find((part) => flag.oneOf && !flag.oneOf.includes(part));
  if (unknown !== undefined) throw new RangeError(`--${name} is ${unknown}; it takes ${flag.oneOf?.join(", ")}`);
  return text;
}

/** @param {string} usage @param {Record<string, Flag>} table */
function help(usage, table) {
  const lines = Object.entries(table).map(([name, { kind, about, default: value }]) => {
    const left = `  --${name}${kind === "boolean" ? "" : kind === "count" ? " N" : " NAME"}`;
    return `${left.padEnd(24)} ${about}${value === undefined ? "" : ` (default ${value})`}`;
  });
  return [usage, "", ...lines].join("\n");
}

/**
 * Checks of single request options: an unknown value and its allowed range in, the typed value or an
 * InvalidRequestError out that names the option, the value seen and what is allowed. Called by sampling-params.ts.
 */
import { InvalidRequestError } from "../errors/index.js";

/** What an option takes. `above`: the lower end itself is not allowed (as a 32-bit float, which is how it is used). */
export interface NumberRange {
  readonly min?: number;
  readonly above?: number;
  readonly max: number;
  readonly integer?: boolean;
  /** Said after the range: what the ends mean. */
  readonly note?: string;
}

/** `undefined` is "not given" throughout; null is a value, and a wrong one. */
export function numberOption<D>(name: string, value: unknown, range: NumberRange, fallback: D): number | D {
  if (value === undefined) return fallback;
  return checkNumber(name, value, range);
}

/** @throws InvalidRequestError */
export function checkNumber(name: string, value: unknown, range: NumberRange): number {
  const { min = -Infinity, above = -Infinity, max, integer = false } = range;
  const inRange = typeof value === "number" && value >= min && value <= max && Math.fround(value) > above;
  if (!inRange || (integer && !Number.isInteger(value))) throw invalidOption(name, value, describeRange(range));
  return value;
}

export function booleanOption(name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback;
  if (typeof value !== "boolean") throw invalidOption(name, value, "true or false");
  return value;
}

/** A copy of the array; its elements are still unknown. */
export function arrayOption(name: string, value: unknown, most: number, what: string): readonly unknown[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalidOption(name, value, `an array of up to ${most} ${what}`);
  if (value.length > most) throw new InvalidRequestError(`${name} has ${value.length} ${what}; at most ${most} are allowed`);
  // Array.from turns holes into undefined, which no element may be.
  return Array.from(value as unknown[]);
}

export function invalidOption(name: string, value: unknown, allowed: string): InvalidRequestError {
  return new InvalidRequestError(`${name} is ${describeValue(value)}; it takes ${allowed}`);
}

/** For messages: short whatever the value is. */
export function describeValue(value: unknown): string {
  if (typeof value === "string")
    return value.length <= 60 ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, 60))}... (${value.length} characters)`;
  if (Array.isArray(value) || ArrayBuffer.isView(value)) return `an array of ${(value as ArrayLike<unknown>).length ?? "bytes"}`;
  if (typeof value === "object" && value !== null) return "an object";
  if (typeof value === "function") return "a function";
  return typeof value === "bigint" ? `the bigint ${String(value).slice(0, 40)}` : String(value);
}

function describeRange({ min, above, max, integer, note }: NumberRange): string {
  const low = above === undefined ? `from ${min}` : `above ${above}, up`;
  return `a ${integer ? "whole " : ""}number ${low} to ${max}${note ? ` (${note})` : ""}`;
}

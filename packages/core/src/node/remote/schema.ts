/**
 * Checks of untrusted JSON: a parsed value in, the same value typed out, or a ProtocolError that says where it is wrong.
 * Strict: no unknown keys, no coercion, bounds on every length. Used by both ends of a channel for every message.
 */
import { InternalError } from "../../errors/index.js";

/** A message that the protocol does not know: a bug, or a process that is no longer sane. */
export class ProtocolError extends InternalError {}

/** @throws ProtocolError naming `where` */
export type Check<T> = (value: unknown, where: string) => T;

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const MAX_DEPTH = 64;

export const whole: Check<number> = (value, where) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : refuse(value, where, "a whole number from 0");

export const real: Check<number> = (value, where) => (Number.isFinite(value) ? (value as number) : refuse(value, where, "a finite number"));

export const flag: Check<boolean> = (value, where) => (typeof value === "boolean" ? value : refuse(value, where, "true or false"));

export const text: Check<string> = (value, where) => (typeof value === "string" ? value : refuse(value, where, "a string"));

/** A number, or null for -Infinity, which JSON cannot say. */
export const realOrNegativeInfinity: Check<number> = (value, where) => (value === null ? -Infinity : real(value, where));

export function oneOf<const T extends string>(...allowed: readonly T[]): Check<T> {
  return (value, where) => (allowed.includes(value as T) ? (value as T) : refuse(value, where, allowed.join(" or ")));
}

export function nullable<T>(check: Check<T>): Check<T | null> {
  return (value, where) => (value === null ? null : check(value, where));
}

/** For a key that may be absent. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value, where) => (value === undefined ? undefined : check(value, where));
}

export function listOf<T>(check: Check<T>, most: number): Check<T[]> {
  return (value, where) => {
    if (!Array.isArray(value) || value.length > most) return refuse(value, where, `a list of at most ${most}`);
    for (let i = 0; i < value.length; i++) value[i] = check(value[i], where);
    return value as T[];
  };
}

/** Every key of T must be listed; keys that are not are refused. */
export function record<T extends object>(shape: { readonly [K in keyof T]-?: Check<T[K]> }): Check<T> {
  const keys = Object.keys(shape);
  return (value, where) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(value, where, "an object");
    const given = value as Record<string, unknown>;
    for (const key of Object.keys(given)) if (!Object.hasOwn(shape, key)) refuse(key, where, `the keys ${keys.join(", ")}`);
    for (const key of keys) {
      const checked: unknown = shape[key as keyof T](Object.hasOwn(given, key) ? given[key] : undefined, `${where}.${key}`);
      if (checked !== given[key]) given[key] = checked;
    }
    return value as T;
  };
}

/** Any JSON, of bounded depth. */
export const json: Check<Json> = (value, where) => checkDepth(value, where, MAX_DEPTH) as Json;

/** A JSON object of any content. */
export const jsonObject: Check<{ readonly [key: string]: Json }> = (value, where) => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(value, where, "an object");
  return json(value, where) as { readonly [key: string]: Json };
};

function checkDepth(value: unknown, where: string, depth: number): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (depth === 0) refuse(value, where, `at most ${MAX_DEPTH} levels`);
  for (const inner of Object.values(value)) checkDepth(inner, where, depth - 1);
  return value;
}

/** @throws ProtocolError; never shows more than a little of the value */
export function refuse(value: unknown, where: string, allowed: string): never {
  const seen =
    typeof value === "object" && value !== null
      ? Array.isArray(value)
        ? `a list of ${value.length}`
        : "an object"
      : JSON.stringify(value)?.slice(0, 60);
  throw new ProtocolError(`${where} is ${seen}; it takes ${allowed}`);
}

/**
 * ConfigReader: strict, typed reading of a parsed JSON object such as config.json.
 * In: the object and what to call it in messages. Out: values that satisfy their limits.
 * Every wrong value is a ModelLoadError naming the field, the value seen and the limit; nothing is coerced.
 * Called by the architecture files and the model folder reader.
 */
import { ModelLoadError } from "../errors/index.js";

export interface NumberLimits {
  readonly min?: number;
  readonly max?: number;
}

export class ConfigReader {
  readonly #fields: Readonly<Record<string, unknown>>;
  readonly #source: string;

  /**
   * @param source how messages name the object, e.g. `config.json` or `config.json: rope_scaling`
   * @throws ModelLoadError when `value` is not a plain JSON object
   */
  constructor(value: unknown, source: string) {
    if (!isObject(value)) throw new ModelLoadError(`${source} is ${describe(value)}; it must be a JSON object`);
    this.#fields = value;
    this.#source = source;
  }

  /** Present and not null. Looks at own fields only, so `__proto__` and the like find nothing. */
  has(field: string): boolean {
    return this.#get(field) !== undefined;
  }

  /** An integer within the limits; `fallback` where the field is absent or null. */
  int(field: string, limits: NumberLimits, fallback?: number): number {
    const value = this.#get(field) ?? fallback;
    if (typeof value !== "number" || !Number.isInteger(value)) this.#refuse(field, value, `an integer${range(limits)}`);
    return this.#inRange(field, value, limits, "an integer");
  }

  /** A finite number within the limits; `fallback` where the field is absent or null. */
  number(field: string, limits: NumberLimits, fallback?: number): number {
    const value = this.#get(field) ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) this.#refuse(field, value, `a number${range(limits)}`);
    return this.#inRange(field, value, limits, "a number");
  }

  boolean(field: string, fallback: boolean): boolean {
    const value = this.#get(field) ?? fallback;
    if (typeof value !== "boolean") this.#refuse(field, value, "true or false");
    return value;
  }

  string(field: string, fallback?: string): string {
    const value = this.#get(field) ?? fallback;
    if (typeof value !== "string") this.#refuse(field, value, "a string");
    return value;
  }

  /** A string out of `allowed`. */
  oneOf<T extends string>(field: string, allowed: readonly T[], fallback?: T): T {
    const value = this.string(field, fallback);
    if (!(allowed as readonly string[]).includes(value)) this.#refuse(field, value, `one of ${allowed.join(", ")}`);
    return value as T;
  }

  /** One id or a list of ids, as `eos_token_id` comes; empty where absent. At most 64, each in [0, vocabSize). */
  tokenIds(field: string, vocabSize: number): readonly number[] {
    const value = this.#get(field);
    if (value === undefined) return [];
    const ids = Array.isArray(value) ? value : [value];
    const good = ids.length <= 64 && ids.every((id) => Number.isInteger(id) && id >= 0 && id < vocabSize);
    if (!good) this.#refuse(field, value, `an id, or at most 64 ids, from 0 to ${vocabSize - 1} (vocab_size - 1)`);
    return [...new Set(ids as number[])];
  }

  /** A nested object; undefined where absent or null. */
  object(field: string): ConfigReader | undefined {
    const value = this.#get(field);
    return value === undefined ? undefined : new ConfigReader(value, `${this.#source}: ${field}`);
  }

  /** For rules that join several fields. */
  fail(field: string, rule: string): never {
    this.#refuse(field, this.#get(field), rule);
  }

  #get(field: string): unknown {
    return Object.hasOwn(this.#fields, field) ? (this.#fields[field] ?? undefined) : undefined;
  }

  #inRange(field: string, value: number, limits: NumberLimits, kind: string): number {
    const { min = -Infinity, max = Infinity } = limits;
    if (value < min || value > max) this.#refuse(field, value, `${kind}${range(limits)}`);
    return value;
  }

  #refuse(field: string, value: unknown, rule: string): never {
    throw new ModelLoadError(`${this.#source}: ${field} is ${describe(value)}; it must be ${rule}`);
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function range({ min, max }: NumberLimits): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` >= ${min}`;
  return max === undefined ? "" : ` <= ${max}`;
}

/** JSON of the value, short enough for one line of a terminal. */
function describe(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "number") return String(value);
  const text = typeof value === "object" ? JSON.stringify(value).slice(0, 200) : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

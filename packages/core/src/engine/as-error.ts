/** What was thrown, as an Error: plug-ins may throw anything. */
import { InternalError } from "../errors/index.js";

/** An Error stays itself; anything else becomes the cause of an InternalError. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new InternalError(`${String(thrown)} was thrown; throw an Error`, { cause: thrown });
}

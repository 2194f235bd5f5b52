/**
 * Files of a model folder, confined to it: no `..`, no absolute names, no symbolic links that lead out.
 * In: a folder and a plain file name. Out: a real path, or parsed JSON. Called by the model and weight readers.
 * The one exception: a hub cache keeps `snapshots/<revision>/<file>` as links into its own `blobs` folder.
 */
import { lstat, readFile, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ModelLoadError } from "../errors/index.js";

export interface ConfinedFile {
  readonly path: string;
  readonly size: number;
  /** Hard links to the file. */
  readonly links: number;
}

/**
 * @param folder a real path
 * @returns undefined when there is no such file
 * @throws ModelLoadError when the name or a link leads out of the folder, or it is no regular file
 */
export async function confinedFile(folder: string, name: string): Promise<ConfinedFile | undefined> {
  if (name !== basename(name) || name.includes("\\") || name.includes("\0") || name === ".." || name === "." || name === "") {
    throw new ModelLoadError(`file name ${JSON.stringify(name.slice(0, 80))} is not a plain name inside the model folder`);
  }
  try {
    let path = join(folder, name);
    let stats = await lstat(path);
    if (stats.isSymbolicLink()) {
      path = await realpath(path);
      if (dirname(path) !== blobFolder(folder)) {
        throw new ModelLoadError(`${name} is a symbolic link out of the model folder; put the file itself there`);
      }
      stats = await lstat(path);
    }
    if (!stats.isFile()) throw new ModelLoadError(`${name} in the model folder is not a regular file`);
    return { path, size: stats.size, links: stats.nlink };
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw asLoadError(error, name);
  }
}

/** Real configs and templates have some kilobytes. */
export const MAX_CONFIG_BYTES: number = 4 * 2 ** 20;

/** The text of a file of at most `maxBytes`; undefined when there is none. */
export async function readTextFile(folder: string, name: string, maxBytes: number): Promise<string | undefined> {
  const file = await confinedFile(folder, name);
  if (!file) return undefined;
  if (file.size > maxBytes) {
    throw new ModelLoadError(`${name} has ${file.size} bytes; the limit is ${maxBytes}`);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file.path));
  } catch (error) {
    if (error instanceof TypeError) throw new ModelLoadError(`${name} is not valid UTF-8`, { cause: error });
    throw asLoadError(error, name);
  }
}

/** As readTextFile, parsed. */
export async function readJsonFile(folder: string, name: string, maxBytes: number): Promise<unknown> {
  const text = await readTextFile(folder, name, maxBytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new ModelLoadError(`${name} is not valid JSON: ${(cause as Error).message.slice(0, 120)}`, { cause });
  }
}

/** File system errors as typed ones, without the path. */
export function asLoadError(error: unknown, name: string): Error {
  if (ModelLoadError.isInstance(error)) return error;
  const code = (error as NodeJS.ErrnoException).code ?? (error as Error).message;
  return new ModelLoadError(`${name} cannot be read: ${code}`, { cause: error });
}

function blobFolder(folder: string): string | undefined {
  const snapshots = dirname(folder);
  return basename(snapshots) === "snapshots" ? join(dirname(snapshots), "blobs") : undefined;
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | undefined)?.code === "ENOENT";
}

/**
 * Where weight caches may lie: next to the model, in the user's cache folder, in the system's temporary folder.
 * In: a WeightSource. Out: folders to look into and, in that order, to try to write to.
 */
import type { WeightSource } from "@weir/core";
import { lstat, mkdir } from "node:fs/promises";
import { homedir, tmpdir, userInfo } from "node:os";
import { dirname, join } from "node:path";

export function defaultCacheFolders(source: WeightSource): string[] {
  const file = source.tensors.values().next().value?.file;
  const cacheHome = process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  return [
    ...(file ? [join(dirname(file.path), ".weir-cache")] : []),
    join(cacheHome, "weir"),
    join(tmpdir(), `weir-cache-${userInfo().uid}`),
  ];
}

/**
 * Makes the folder where it is missing. One that another user owns is refused: in a shared temporary folder he could
 * slip us weights of his own.
 */
export async function makeCacheFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (!folder.startsWith(tmpdir())) return;
  const { uid } = await lstat(folder);
  if (process.getuid && uid !== process.getuid()) {
    throw Object.assign(new Error(`${folder} belongs to another user`), { code: "EACCES" });
  }
}

/** Whether the next folder may do better: no room, no right, no such place. Anything else is a bug or a broken disk. */
export function isFolderError(error: unknown): boolean {
  return error instanceof Error && FOLDER_ERRORS.has((error as NodeJS.ErrnoException).code ?? "");
}

const FOLDER_ERRORS = new Set("ENOSPC EDQUOT EACCES EPERM EROFS ENOENT ENOTDIR EEXIST EFBIG EIO ENAMETOOLONG ENOSYS ENOTSUP".split(" "));

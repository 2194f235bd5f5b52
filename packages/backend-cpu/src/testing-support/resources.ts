/** What a process holds, so that a test can see that it is given back: threads, files, handles, memory. */
import { existsSync, readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { sleep } from "./stream-load.js";

export interface Resources {
  /** Threads and open files; 0 where there is no /proc. */
  readonly threads: number;
  readonly files: number;
  /** What keeps the event loop alive. */
  readonly handles: number;
}

export function resources(): Resources {
  return { threads: countIn("/proc/self/task"), files: countIn("/proc/self/fd"), handles: process.getActiveResourcesInfo().length };
}

/** Waits, at most two seconds, for threads, files and handles to be given back. @returns what is held beyond `before` */
export async function keptSince(before: Resources): Promise<Partial<Resources>> {
  for (let i = 0; ; i++) {
    const now = resources();
    const kept = Object.entries(now).flatMap(([name, count]) => {
      const more = count - before[name as keyof Resources];
      return more > 0 ? [[name, more] as const] : [];
    });
    if (kept.length === 0 || i === 40) return Object.fromEntries(kept);
    await sleep(50);
  }
}

/** MiB of resident memory after a collection. */
export async function residentMb(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  for (let i = 0; i < 3; i++) {
    collect();
    await sleep(20);
  }
  return process.memoryUsage.rss() / 2 ** 20;
}

function countIn(folder: string): number {
  return existsSync(folder) ? readdirSync(folder).length : 0;
}

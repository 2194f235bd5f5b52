/**
 * How much of the machine others used while a child ran: what makes a measurement worth repeating.
 * In: /proc. Out: a share of all cores, 0 to 1; undefined where there is no /proc. Read by `run-child.mjs`.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Above this share of all cores, a run is marked as disturbed. */
export const DISTURBED = 0.05;

const TICKS_PER_SECOND = 100; // USER_HZ, the same on every Linux that Node runs on

export class CpuClock {
  #start = performance.now();
  #others = machineTicks() - ourTicks();

  /** Call when the child has ended and was waited for. @returns the others' share of all cores, stolen time included */
  stop() {
    const seconds = (performance.now() - this.#start) / 1000;
    const ticks = machineTicks() - ourTicks() - this.#others;
    const share = ticks / TICKS_PER_SECOND / (seconds * availableParallelism());
    return Number.isFinite(share) ? Math.min(1, Math.max(0, share)) : undefined;
  }
}

/** Ticks in which some core was not idle; stolen ones count. NaN without /proc. */
function machineTicks() {
  const [, user, nice, system, , , irq, softirq, steal] = read("/proc/stat").split(/\s+/, 9).map(Number);
  return user + nice + system + irq + softirq + steal;
}

/** Of this process and of its children that have ended. NaN without /proc. */
function ourTicks() {
  const stat = read("/proc/self/stat");
  // From the state on: the name before it may hold anything. Then utime, stime, cutime, cstime are 11 to 14.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field), fields.length < 15 ? NaN : 0);
}

/** @param {string} path */
function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

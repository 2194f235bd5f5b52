/** Makes and ends engines, or loses their workers, again and again, and watches what the process keeps. */
import { cpuEngine, greedyIds, type CpuEngineOptions } from "./cpu-test-engine.js";
import { faultyKernel } from "./faulty-kernel.js";
import { keptSince, residentMb, resources, type Resources } from "./resources.js";

export interface Growth {
  /** MiB of resident memory per round, once the process has warmed up. */
  readonly mbPerRound: number;
  /** Threads, files and handles held at the end beyond those at the start. */
  readonly kept: Partial<Resources>;
}

/** @param rounds after `warmUp` ones that are not measured */
export async function growthOver(rounds: number, warmUp: number, round: () => Promise<void>): Promise<Growth> {
  for (let i = 0; i < warmUp; i++) await round();
  const before = resources();
  const start = await residentMb();
  for (let i = 0; i < rounds; i++) await round();
  const kept = await keptSince(before);
  return { mbPerRound: ((await residentMb()) - start) / rounds, kept };
}

/** One engine: made, used, disposed. */
export async function engineRound(options: CpuEngineOptions): Promise<void> {
  const engine = await cpuEngine(options);
  await Promise.all([greedyIds(engine, [1, 2, 3], 4), greedyIds(engine, [4], 4)]);
  await engine.dispose();
}

/** One engine whose worker is lost in the middle of a step `times` times. */
export async function crashRound(how: "throw" | "exit" | "memory", times: number): Promise<void> {
  const failAt = Array.from({ length: times }, (_, i) => 3 * i + 1);
  const { kernel, lives } = faultyKernel({ how, failAt });
  const engine = await cpuEngine({ quantize: "f32", attentionKernel: kernel, cpu: { workerHeapMb: 96 } });
  await greedyIds(engine, [1, 2, 3], 4 * times + 4);
  if (lives() !== times + 1) throw new Error(`${lives()} workers lived; ${times + 1} were to`);
  await engine.dispose();
}

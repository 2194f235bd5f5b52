/** The demo model in a process of its own that is killed again and again: the host lives, and no stream notices. */
import { cp, mkdtemp, readdir, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WeirError } from "@weir/core";
import { type RemoteEngine, remoteEngine } from "@weir/core/node";
import { afterAll, describe, expect, it } from "vitest";
import { killStorm, runRequest, type StormRequest } from "./testing-support/kill-storm.js";
import { keptSince, resources } from "./testing-support/resources.js";
import { seededRandom } from "./testing-support/seeded-random.js";
import { sleep } from "./testing-support/stream-load.js";

const DEMO_MODEL = fileURLToPath(new URL("../../cli/model/tiny-shakespeare", import.meta.url));
const CHILD_ENGINE = new URL("./testing-support/child-engine.mjs", import.meta.url);
/** Of each storm; there are two. */
const KILLS = 100;
const STREAMS = 16;

const PROMPTS = [
  "ROMEO:\n",
  "JULIET:\n",
  "To be",
  "First Citizen:\nBefore we proceed any further, hear me speak.\n\nAll:\n",
  "NURSE:\nO",
  "é中",
];
const OPTIONS = [
  { maxTokens: 40, ignoreEos: true },
  { maxTokens: 32, temperature: 0.9, topP: 0.95, seed: 5, ignoreEos: true },
  { maxTokens: 64, temperature: 0.7, seed: 11, repetitionPenalty: 1.1, frequencyPenalty: 0.2, stop: ["\n\n", "my lord"], minTokens: 12 },
  { maxTokens: 24, temperature: 1, seed: 2 ** 40 + 3, topK: 40, ignoreEos: true },
];
const REQUESTS: readonly StormRequest[] = PROMPTS.flatMap((prompt) => OPTIONS.map((options) => ({ prompt, options })));

describe("an engine's process that is killed, crashed and stopped", () => {
  // With 3, requests that gain no token three times in a row go on one by one; with 1,000 all go on together.
  it.each([3, 1000])(
    `${KILLS} times under ${STREAMS} streams, with maxReplays %i, costs no token and leaves nothing behind`,
    async (maxReplays) => {
      const before = resources();
      const engine = await remoteEngine({
        module: CHILD_ENGINE,
        options: { model: DEMO_MODEL, quantize: "auto", maxNumSeqs: STREAMS },
        output: "ignore",
        heartbeatTimeoutMs: 400,
        maxReplays,
        maxRestarts: 100_000,
        backoffMs: 1,
      });
      const expected = [];
      for (const request of REQUESTS) expected.push(await runRequest(engine, request));
      const start = performance.now();
      const random = seededRandom(maxReplays);
      const { identical, failed, wrong, pids } = await killStorm(engine, REQUESTS, expected, {
        streams: STREAMS,
        kills: KILLS,
        maxDelayMs: 250,
        random,
      });
      const seconds = (performance.now() - start) / 1000;
      console.log(
        `maxReplays ${maxReplays}: ${KILLS} kills in ${seconds.toFixed(0)} s: ${identical} streams identical, ${failed} failed by EngineRestartedError, ${pids.size} processes`,
      );
      expect(wrong).toEqual([]);
      // The test has power only if streams got through, and processes were really lost.
      expect(identical).toBeGreaterThan(STREAMS);
      expect(engine.stats().restarts).toBeGreaterThan(KILLS / 2);
      expect(await runRequest(engine, REQUESTS[0]!)).toEqual(expected[0]);
      await engine.dispose();
      expect([...pids].filter(isAlive)).toEqual([]);
      expect(await keptSince(before)).toEqual({});
    },
  );
});

describe("model files that are cut off under a running process", () => {
  const folders: string[] = [];
  afterAll(() => Promise.all(folders.map((folder) => rm(folder, { recursive: true, force: true }))));

  async function copyOfDemoModel(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), "weir-cut-"));
    folders.push(folder);
    await cp(DEMO_MODEL, folder, { recursive: true });
    return folder;
  }

  /** Whoever has the file mapped gets SIGBUS where it ended. */
  async function cutAll(folder: string): Promise<void> {
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    await Promise.all(files.filter((file) => file.isFile()).map((file) => truncate(join(file.parentPath, file.name), 100)));
  }

  const settings = { module: CHILD_ENGINE, output: "ignore", maxRestarts: 2, backoffMs: 1, heartbeatTimeoutMs: 5000 } as const;

  it.each(["f32", "int8"])("end a load of %s weights in a typed error or not at all, and the host lives", async (quantize) => {
    for (const delay of [0, 50, 100, 150, 200, 300, 400, 600]) {
      const model = await copyOfDemoModel();
      const loading = remoteEngine({ ...settings, options: { model, quantize }, maxLoadRetries: 1 });
      const cut = sleep(delay).then(() => cutAll(model));
      const outcome = await loading.catch((error: unknown) => error);
      await cut;
      if (WeirError.isInstance(outcome)) expect(outcome.code).toBe("model_load");
      else await (outcome as RemoteEngine).dispose();
    }
  });

  it.each(["f32", "int8"])("end streams over %s weights as they should, or in EngineRestartedError", async (quantize) => {
    const model = await copyOfDemoModel();
    const engine = await remoteEngine({ ...settings, options: { model, quantize } });
    const expected = await runRequest(engine, REQUESTS[0]!);
    const running = [1, 2, 3, 4].map(() => runRequest(engine, REQUESTS[0]!));
    await cutAll(model);
    for (const outcome of await Promise.allSettled(running)) {
      if (outcome.status === "fulfilled") expect(outcome.value).toEqual(expected);
      else expect(outcome.reason).toMatchObject({ code: "engine_restarted" });
    }
    await engine.dispose();
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

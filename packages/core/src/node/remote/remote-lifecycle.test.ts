/** The life of a child: loading, draining, and the end of its parent. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import type { LoadProgress } from "../../contracts/index.js";
import { collect, tokenIds } from "../../engine/test-engine.js";
import { builtModule } from "../../platform/built-module.js";
import { remoteEngine } from "./remote-engine.js";
import { isAlive, NULL_ENGINE, openFiles, RemoteRig, until } from "./testing-support/remote-rig.js";

const rig = new RemoteRig();
afterAll(async () => expect(await rig.finish()).toEqual([]));

describe("a load that is aborted", () => {
  it("leaves neither process nor file", async () => {
    const files = openFiles();
    const abort = new AbortController();
    const settings = { signal: abort.signal, onProgress: () => abort.abort() };
    const loading = rig.engine({ loadMs: 60_000, progress: [{ stage: "open", bytesDone: 0, bytesTotal: 1 }] }, settings);
    await expect(loading).rejects.toMatchObject({ code: "aborted" });
    await expect(rig.engine({}, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    await until("files are closed", () => openFiles() <= files);
  });
});

// Side by side: most of their time is waiting.
describe.concurrent("loading", () => {
  it("tells its progress", async () => {
    const stages: LoadProgress[] = [];
    const progress: LoadProgress[] = [
      { stage: "open", bytesDone: 0, bytesTotal: 10 },
      { stage: "compile", bytesDone: 10, bytesTotal: 10 },
    ];
    await rig.engine({ progress }, { onProgress: (event) => stages.push(event) });
    expect(stages).toEqual(progress);
  });

  it("fails with the child's own typed error, at once", async () => {
    await expect(rig.engine({ maxNumSeqs: 0 })).rejects.toMatchObject({
      code: "invalid_options",
      message: expect.stringContaining("maxNumSeqs is 0"),
    });
    await expect(rig.engine({ fault: "load-throw" })).rejects.toThrow("the plug-in's own error");
    await expect(rig.engine({}, { module: new URL("./nowhere.mjs", NULL_ENGINE) })).rejects.toThrow(/nowhere\.mjs/);
    await expect(rig.engine({}, { module: new URL(builtModule(new URL("./schema.ts", import.meta.url))) })).rejects.toMatchObject({
      code: "model_load",
      message: expect.stringContaining("exports no function createEngine"),
    });
  });

  it("that crashes in native code takes the child along, not the host; it is tried again, a bounded number of times", async () => {
    expect((await rig.engine({ fault: "load-SIGSEGV", once: rig.file() })).stats().health).toBe("ok");
    await expect(rig.engine({ fault: "load-SIGBUS" }, { maxLoadRetries: 1 })).rejects.toMatchObject({
      code: "model_load",
      message: expect.stringMatching(/2 times; the last time it was ended by SIGBUS/),
    });
  });

  it("that runs out of memory is a typed error as well", async () => {
    const settings = { maxLoadRetries: 0, execArgv: ["--max-old-space-size=40"] };
    await expect(rig.engine({ fault: "load-heap" }, settings)).rejects.toMatchObject({ code: "model_load" });
  });

  it("that takes too long is given up", async () => {
    const loading = rig.engine({ loadMs: 60_000 }, { maxLoadRetries: 0, loadTimeoutMs: 300 });
    await expect(loading).rejects.toMatchObject({ code: "model_load", message: expect.stringContaining("loadTimeoutMs = 300") });
  });

  it("a command that cannot be started, or that is no engine, is a typed error", async () => {
    await expect(remoteEngine({ command: ["/nowhere/at-all"], maxLoadRetries: 0 })).rejects.toMatchObject({
      code: "model_load",
      message: expect.stringContaining("could not be started"),
    });
    await expect(remoteEngine({ command: [process.execPath, "-e", "0"], maxLoadRetries: 0 })).rejects.toMatchObject({
      code: "model_load",
      message: expect.stringContaining("exited with code 0"),
    });
  });

  it("a command that calls serveEngine is as good as a module", async () => {
    const script = `
      import { createEngine } from ${JSON.stringify(NULL_ENGINE.href)};
      import { serveEngine } from ${JSON.stringify(new URL("../index.js", builtModule(import.meta.url)).href)};
      serveEngine(createEngine);`;
    const engine = await remoteEngine({
      command: [process.execPath, "--input-type=module", "-e", script],
      options: { name: "by command" },
    });
    expect(engine.info.model).toBe("by command");
    expect(tokenIds(await collect(engine.generate("x", { maxTokens: 3 })))).toHaveLength(3);
    await engine.dispose();
  });
});

// Side by side: most of their time is waiting.
describe.concurrent("draining", () => {
  it.each(["SIGTERM", "SIGINT", "SIGHUP"] as const)(
    "by %s ends what runs, then the child; what comes meanwhile runs in the next one",
    async (signal) => {
      const engine = await rig.engine({ stepMs: 1 }, { drainMs: 60_000 });
      const pid = engine.pid!;
      const running = collect(engine.generate("abc", { maxTokens: 150 }));
      await until("it runs", () => engine.stats().requests.started === 1);
      process.kill(pid, signal);
      await until("it is draining", () => engine.stats().health === "restarting");
      const late = collect(engine.generate("abc", { maxTokens: 20 }));
      expect(tokenIds(await running)).toHaveLength(150);
      expect(tokenIds(await late)).toEqual(tokenIds(await running).slice(0, 20));
      expect(isAlive(pid)).toBe(false);
      expect(engine.pid).not.toBe(pid);
    },
  );

  it("gives up after its grace period; a second signal is in a hurry; what ran goes on in the next child", async () => {
    for (const [drainMs, signals] of [
      [50, 1],
      [600_000, 2],
    ] as const) {
      const engine = await rig.engine({ stepMs: 1 }, { drainMs });
      const pid = engine.pid!;
      const running = collect(engine.generate("abc", { maxTokens: 1000 }));
      await until("it runs", () => engine.stats().requests.started === 1);
      process.kill(pid, "SIGTERM");
      await until("it is draining", () => engine.stats().health === "restarting");
      if (signals === 2) process.kill(pid, "SIGTERM");
      await until("it is gone", () => !isAlive(pid));
      expect(tokenIds(await running)).toHaveLength(1000);
      await engine.dispose();
    }
  });

  it("exits with 0, idle or while loading, and with 143 when it was cut short", async () => {
    const codes = await Promise.all([drainedChild({}, 1), drainedChild({ loadMs: 60_000 }, 1), drainedChild({ loadMs: 60_000 }, 2)]);
    expect(codes.slice(0, 2)).toEqual([0, 0]);
    expect([0, 143]).toContain(codes[2]);
  });

  it("dispose({ drainMs }) lets requests end and refuses new ones; the process is gone afterwards", async () => {
    const engine = await rig.engine({ stepMs: 1 });
    const pid = engine.pid!;
    const running = collect(engine.generate("abc", { maxTokens: 50 }));
    const disposed = engine.dispose({ drainMs: 60_000 });
    await expect(engine.generate("x").text()).rejects.toMatchObject({ code: "disposed" });
    expect(tokenIds(await running)).toHaveLength(50);
    await disposed;
    expect(isAlive(pid)).toBe(false);
  });

  it("dispose() fails what runs, completes events$ and is idempotent, even when the child hangs", async () => {
    const engine = await rig.engine({ fault: "loop", atStep: 5 });
    let completed = false;
    engine.events$.subscribe({ complete: () => (completed = true) });
    const running = engine.generate("abc", { maxTokens: 50 }).text();
    const failed = expect(running).rejects.toMatchObject({ code: "disposed" });
    await until("it runs", () => engine.stats().requests.started === 1);
    await Promise.all([engine.dispose(), engine.dispose()]);
    await failed;
    expect(completed).toBe(true);
    expect(engine.pid).toBeUndefined();
    await expect(engine.generate("x").text()).rejects.toMatchObject({ code: "disposed" });
  });
});

// Side by side: most of their time is waiting.
describe.concurrent("the end of the parent", () => {
  it.each([
    ["idle", "0"],
    ["busy with a stream", "engine.generate('abc', { maxTokens: 1000 }).text()"],
  ])("ends a child that is %s", async (_, then) => {
    const child = await childOfKilledParent({ stepMs: 5 }, then);
    await until("the child is gone", () => !isAlive(child));
  });

  it("ends a child whose main thread is stuck", async () => {
    const child = await childOfKilledParent({ fault: "loop", atStep: 3 }, "engine.generate('abc', { maxTokens: 1000 }).text()");
    await until("the child is gone", () => !isAlive(child));
  });

  it("does not wait for an engine that nobody disposed", async () => {
    const { code, child } = await parentOf({}, "await engine.generate('abc', { maxTokens: 3 }).text()", false);
    expect(code).toBe(0);
    await until("the child is gone", () => !isAlive(child));
  });
});

/** Starts a process that makes an engine and goes on with `then`; kills it when the engine has had some time. @returns the child's pid */
async function childOfKilledParent(options: object, then: string): Promise<number> {
  return (await parentOf(options, then, true)).child;
}

function parentOf(options: object, then: string, kill: boolean): Promise<{ readonly child: number; readonly code: number | null }> {
  const script = `
    import { remoteEngine } from ${JSON.stringify(new URL("../index.js", builtModule(import.meta.url)).href)};
    const engine = await remoteEngine({ module: ${JSON.stringify(NULL_ENGINE.href)}, options: ${JSON.stringify(options)} });
    console.log(engine.pid);
    ${then};`;
  const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  let child = 0;
  parent.stdout.on("data", (chunk: Buffer) => {
    child = Number(chunk.toString());
    if (kill) setTimeout(() => parent.kill("SIGKILL"), 100);
  });
  return new Promise((resolve) => parent.once("exit", (code) => resolve({ child, code })));
}

/** A child without a host of ours: its exit code after so many SIGTERMs. */
function drainedChild(options: object, signals: number): Promise<number | null> {
  const entry = fileURLToPath(new URL("./child-entry.js", builtModule(import.meta.url)));
  const child = spawn(process.execPath, [entry], { stdio: ["ignore", "ignore", "inherit", "pipe", "pipe"] });
  const channel = child.stdio[3] as unknown as NodeJS.ReadWriteStream;
  void import("./frames.js").then(({ encodeFrame }) =>
    channel.write(
      encodeFrame({ type: "init", protocol: 1, module: NULL_ENGINE.href, options: options as never, beatMs: 50, drainMs: 1000 }),
    ),
  );
  // Its first beat: it listens to signals. What it says between is of no interest.
  channel.once("data", () => {
    for (let i = 0; i < signals; i++) child.kill("SIGTERM");
  });
  channel.resume();
  return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
}

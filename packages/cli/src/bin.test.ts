/** The built command as a shell starts it: pipes, signals, exit codes. */
import { spawn, type ChildProcessWithoutNullStreams } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { LLAMA } from "./testing/run-main.js";

const BIN = fileURLToPath(new URL("../bin/weir.js", import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly child: ChildProcessWithoutNullStreams;
  readonly ended: Promise<Ended>;
  /** Resolves once stdout and stderr together hold `text`. */
  shows(text: string): Promise<void>;
}

function weir(...args: string[]): Started {
  const child = spawn(process.execPath, [BIN, ...args]);
  const printed = { stdout: "", stderr: "" };
  const watchers: (() => void)[] = [];
  for (const name of ["stdout", "stderr"] as const) {
    child[name].on("data", (chunk: Buffer) => {
      printed[name] += chunk.toString();
      for (const watch of watchers) watch();
    });
  }
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code, ...printed })));
  const shows = (text: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const watch = (): void => {
        if ((printed.stdout + printed.stderr).includes(text)) resolve();
      };
      watchers.push(watch);
      watch();
      void ended.then(() => reject(new Error(`ended without showing ${text}: ${printed.stderr}`)));
    });
  return { child, ended, shows };
}

describe("weir as a process", () => {
  it("ends with the command's exit code and one line for bad input", async () => {
    expect(await weir("run", "--temperature", "hot").ended).toEqual({
      code: 2,
      stdout: "",
      stderr: "weir: --temperature is 'hot'; it takes a number\n",
    });
  });

  it("prints JSON that another program can read, and nothing else", async () => {
    const { code, stdout, stderr } = await weir("generate", LLAMA, "--prompt-ids", "78", "--max-tokens", "4", "--ignore-eos", "--json")
      .ended;
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ tokens: [106, 154, 431, 12] });
  });

  it("stops quietly when its reader leaves, as under head", async () => {
    const { child, ended, shows } = weir("run", "--max-tokens", "900", "--ignore-eos");
    await shows("ROMEO:");
    child.stdout.destroy();
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).not.toMatch(/EPIPE|at .*\.js/);
  });

  it("stops a run at Ctrl-C, with what there is so far", async () => {
    const { child, ended, shows } = weir("run", "--backend", "reference", "--max-tokens", "900", "--ignore-eos", "--quantize", "f32");
    await shows("ROMEO:");
    child.kill("SIGINT");
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(130);
    expect(stdout).toMatch(/^ROMEO:\n[^]*\n$/);
    expect(stderr).toMatch(/\nstopped\n$/);
  });
});

describe("weir run --isolate as a process", () => {
  it("stops at Ctrl-C with what there is so far, and its own process goes with it", async () => {
    const { child, ended, shows } = weir("run", "--isolate", "--max-tokens", "900", "--ignore-eos");
    await shows("ROMEO:");
    child.kill("SIGINT");
    const { code, stderr } = await ended;
    expect(code).toBe(130);
    expect(stderr).toMatch(/\nstopped\n$/);
  });

  it("says in one line what is wrong with a model", async () => {
    const { code, stdout, stderr } = await weir("run", "--isolate", "--kv-cache-mb", "999999999").ended;
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^weir: [^\n]+\n$/);
  });
});

describe("weir chat over pipes", () => {
  it("answers line by line, remembers, clears, and leaves at the end of its input", async () => {
    const { child, ended } = weir("chat", "--max-tokens", "5", "--seed", "3", "--ignore-eos");
    child.stdin.end("Hello there\n\nHello there\n/clear\nHello there\n");
    const { code, stdout, stderr } = await ended;
    expect(code).toBe(0);
    const prompts = [...stderr.matchAll(/\[(\d+) prompt tokens at .*? 5 new tokens/g)].map((match) => Number(match[1]));
    expect(prompts).toHaveLength(3);
    expect(prompts[1]).toBeGreaterThan(prompts[0]!);
    expect(prompts[2]).toBe(prompts[0]);
    expect(stdout).not.toContain("> ");
  });

  it("leaves at /exit without reading on", async () => {
    const { child, ended } = weir("chat");
    child.stdin.write("/exit\n");
    expect(await ended).toMatchObject({ code: 0, stdout: "" });
  });

  it("stops the answer at Ctrl-C, not the program", async () => {
    const { child, ended, shows } = weir("chat", "--backend", "reference", "--quantize", "f32", "--max-tokens", "900", "--ignore-eos");
    child.stdin.write("Hello there\n");
    await shows("leaves.\n");
    await new Promise((resolve) => child.stdout.once("data", resolve));
    child.kill("SIGINT");
    await shows("[stopped]");
    expect(child.exitCode).toBeNull();
    child.stdin.end();
    expect(await ended).toMatchObject({ code: 0 });
  });

  it("says why it refuses a question, and goes on", async () => {
    const { child, ended } = weir("chat", "--max-model-len", "40", "--max-tokens", "4");
    child.stdin.end(`${"many words ".repeat(40)}\nHello\n`);
    const { code, stderr } = await ended;
    expect(code).toBe(0);
    expect(stderr).toMatch(/\[the prompt has \d+ tokens and the context holds 40.*; \/clear starts over\]/);
    expect(stderr).toMatch(/new tokens at/);
  });

  it("refuses bad options before anyone types", async () => {
    const { child, ended } = weir("chat", "--temperature", "-1");
    child.stdin.end();
    expect(await ended).toEqual({
      code: 2,
      stdout: "",
      stderr: "weir: --temperature is -1; it takes a number from 0 to 100 (0 is greedy)\n",
    });
  });
});

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { LLAMA, runMain } from "./testing/run-main.js";

const COMMANDS = ["run", "chat", "generate", "inspect", "bench", "doctor"];

describe("weir --help", () => {
  it.each([[[]], [["help"]], [["--help"]], [["-h"]]])("prints the commands for %j", async (argv) => {
    const { code, stdout, stderr } = await runMain(...argv);
    expect([code, stderr]).toEqual([0, ""]);
    for (const name of COMMANDS) expect(stdout).toContain(`weir ${name} `.trimEnd());
  });

  it.each(COMMANDS)("of %s prints its usage and every option, and runs nothing", async (name) => {
    const { code, stdout, stderr } = await runMain(name, "--help");
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(new RegExp(`^weir ${name}`));
    expect(stdout).toContain("-h, --help");
    for (const line of stdout.split("\n")) expect(line.length).toBeLessThan(120);
  });

  it("prints the version of the package", async () => {
    const manifest = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string };
    expect(await runMain("--version")).toEqual({ code: 0, stdout: `${manifest.version}\n`, stderr: "" });
  });
});

/** The backend that starts fastest: requests are checked before any runs. */
const IDS = ["generate", LLAMA, "--backend", "reference", "--prompt-ids"];

/** argv, and what the one line must say: what, the value, the limit. */
const BAD_INPUT: readonly (readonly [readonly string[], RegExp])[] = [
  [["nope"], /unknown command 'nope'; known: run, chat/],
  [["constructor"], /unknown command 'constructor'/],
  [["run", "--foo"], /unknown option '--foo'/],
  [["run", "a", "b"], /unexpected argument 'b'/],
  [["doctor", "x"], /unexpected argument 'x'$/],
  [["run", "/does/not/exist"], /"\/does\/not\/exist" does not exist; give a folder/],
  [["run", new URL(import.meta.url).pathname], /is not a folder/],
  [["run", new URL(".", import.meta.url).pathname], /no config\.json/],
  [["inspect", "random:gpt"], /no model random:gpt; there are random:llama-1\.1b/],
  [["run", LLAMA], /model llama has no tokenizer; .*--prompt-ids/],
  [["run", "random:llama-1.1b"], /no tokenizer/],
  [["chat", LLAMA], /no tokenizer/],
  [["generate", LLAMA], /either -p TEXT or --prompt-ids/],
  [["generate", LLAMA, "-p", "x", "--prompt-ids", "1"], /either -p TEXT or --prompt-ids/],
  [["generate", LLAMA, "-p", "x"], /has no tokenizer/],
  [["generate", "-p", ""], /the prompt has no tokens/],
  [[...IDS, "1,a"], /--prompt-ids holds 'a'/],
  [[...IDS, ""], /--prompt-ids holds ''/],
  [[...IDS, "1,,2"], /--prompt-ids holds ''/],
  [[...IDS, "1.5"], /--prompt-ids holds '1\.5'/],
  [[...IDS, "99999999999"], /--prompt-ids holds '99999999999'/],
  [[...IDS, "7,512"], /prompt token 1 is 512; it takes a whole number from 0 to 511/],
  [[...IDS, "1,2,3,4", "--max-model-len", "4"], /the prompt has 4 tokens and the context holds 4, .*raise --max-model-len/],
  [[...IDS, "1", "--max-tokens", "512"], /--max-tokens is 512.*at most 511/],
  [[...IDS, "1", "--max-tokens", "0"], /--max-tokens is 0/],
  [[...IDS, "1", "--max-tokens", "-1"], /--max-tokens is -1/],
  [[...IDS, "1", "--max-tokens", "1e308"], /--max-tokens is 1e\+308/],
  [[...IDS, "1", "--max-tokens", "4", "--min-tokens", "5"], /--min-tokens is 5; .*from 0 to 4/],
  [[...IDS, "1", "--temperature", "hot"], /--temperature is 'hot'; it takes a number/],
  [[...IDS, "1", "--temperature", "NaN"], /--temperature is 'NaN'/],
  [[...IDS, "1", "--temperature", "-1"], /--temperature is -1; .*from 0 to 100/],
  [[...IDS, "1", "--temperature", "1e30"], /--temperature is 1e\+30/],
  [[...IDS, "1", "--top-p", "0"], /--top-p is 0; .*above 0/],
  [[...IDS, "1", "--top-k", "-2"], /--top-k is -2; .*from 0 to 512/],
  [[...IDS, "1", "--top-k", "2147483648"], /--top-k is 2147483648/],
  [[...IDS, "1", "--min-p", "2"], /--min-p is 2; .*from 0 to 1/],
  [[...IDS, "1", "--repetition-penalty", "0"], /--repetition-penalty is 0/],
  [[...IDS, "1", "--presence-penalty", "1e9"], /--presence-penalty is 1000000000; .*from -2 to 2/],
  [[...IDS, "1", "--frequency-penalty", "-3"], /--frequency-penalty is -3/],
  [[...IDS, "1", "--seed", "1.5"], /--seed is 1\.5; it takes a whole number/],
  [[...IDS, "1", "--seed", "18446744073709551616"], /--seed is 18446744073709552000/],
  [[...IDS, "1", "--stop", ""], /--stop\[0\] is ""/],
  [[...IDS, "1", "--logprobs", "1000000"], /--logprobs is 1000000; .*from 0 to 64/],
  [[...IDS, "1", "--adapter", "a=b"], /--adapter is given, and adapters are not part of this version/],
  [[...IDS, "1", "--adapter-name", "a"], /--adapter-name is given/],
  [["run", "--backend", "webgpu", "--threads", "2"], /--threads is for the cpu backend; leave it out with --backend webgpu/],
  [["run", "--backend", "tpu"], /--backend is 'tpu'; it takes cpu, cuda, webgpu, reference/],
  [["run", "--quantize", "int3"], /--quantize is "int3", but backend cpu takes int8/],
  [["run", "--activations", "f16"], /--activations is "f16"; it takes auto or f32/],
  [["run", "--kv-dtype", "f8"], /--kv-dtype is "f8", but backend cpu takes f32, int8/],
  [["run", "--backend", "reference", "--kv-dtype", "int8"], /--kv-dtype is "int8", but backend reference takes f32/],
  [["run", "--threads", "0"], /--threads is 0; it takes a whole number from 1/],
  [["run", "--threads", "1000"], /--threads is 1000; .*from 1 to 256/],
  [["run", "--block-size", "7"], /--block-size is 7, but backend cpu takes 16/],
  [["run", "--max-model-len", "99999"], /--max-model-len is 99999, but the model was made for 1024/],
  [["run", "--max-num-seqs", "5000"], /--max-num-seqs is 5000; .*to 4096/],
  [["run", "--max-num-seqs", "100", "--max-num-batched-tokens", "10"], /--max-num-batched-tokens is 10, less than --max-num-seqs/],
  [["run", "--kv-cache-mb", "99999999"], /the plan needs .*lower --kv-cache-mb/],
  [["run", "--kv-cache-mb", "1", "--max-model-len", "1024"], /--max-model-len is 1024, which needs 64 KV blocks/],
  [["inspect", "--kv-cache-mb", "99999999"], /the plan needs .*lower --kv-cache-mb/],
  [["inspect", "--max-num-seqs", "5000"], /--max-num-seqs is 5000/],
  [["bench"], /bench is ''; it takes throughput/],
  [["bench", "serve"], /bench is 'serve'/],
  [["bench", "throughput", "--streams", "0"], /--streams is 0/],
  [["bench", "throughput", "--streams", "5000"], /--streams is 5000; it takes at most 4096/],
  [["bench", "throughput", "--prompt-tokens", "1000"], /need 1064 positions, and the model has 1024/],
  [["bench", "throughput", "--seed", "0.5"], /--seed is 0\.5/],
];

describe("bad input", () => {
  const named = BAD_INPUT.map(([argv, message]) => [argv.join(" ").replace(LLAMA, "llama"), argv, message] as const);
  it.each(named)("weir %s is exit code 2 and one line that says what to change", async (_name, argv, message) => {
    const { code, stdout, stderr } = await runMain(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^weir: [^\n]+\n$/);
    expect(stderr.trimEnd().slice("weir: ".length)).toMatch(message);
  });
});

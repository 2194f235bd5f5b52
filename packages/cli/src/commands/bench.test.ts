import { describe, expect, it } from "vitest";
import { LLAMA, runMain } from "../testing/run-main.js";

const LOAD = ["--streams", "3", "--prompt-tokens", "20", "--max-tokens", "6"];

describe("weir bench throughput", () => {
  it("prints the names and shapes that scripts rely on", async () => {
    const { code, stdout, stderr } = await runMain("bench", "throughput", LLAMA, ...LOAD, "--json");
    expect([code, stderr]).toEqual([0, ""]);
    const rate = expect.any(Number) as number;
    const percentiles = { p50: rate, p99: rate };
    const result = JSON.parse(stdout) as Record<string, number>;
    expect(result).toEqual({
      streams: 3,
      prefill_tokens_per_s: rate,
      decode_tokens_per_s: rate,
      ttft_ms: percentiles,
      itl_ms: percentiles,
      loop_delay_p99_ms: rate,
      peak_rss_mb: rate,
    });
    expect(result["prefill_tokens_per_s"]).toBeGreaterThan(0);
    expect(result["decode_tokens_per_s"]).toBeGreaterThan(0);
    expect(result["peak_rss_mb"]).toBeGreaterThan(20);
  });

  it("runs more streams than fit into a step, and streams of a single token", async () => {
    const { code, stdout } = await runMain(
      "bench",
      "throughput",
      LLAMA,
      "--streams",
      "5",
      "--max-num-seqs",
      "2",
      "--prompt-tokens",
      "4",
      "--max-tokens",
      "1",
      "--json",
    );
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ streams: 5, decode_tokens_per_s: 0, itl_ms: { p50: 0, p99: 0 } });
  });

  it("prints a table for people, on the reference backend too", async () => {
    const { code, stdout } = await runMain("bench", "throughput", LLAMA, ...LOAD, "--backend", "reference", "--quantize", "f32");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^streams +3\nprefill +[\d.]+ tok\/s\ndecode +[\d.]+ tok\/s\n/);
  });
});

import { describe, expect, it } from "vitest";
import { runMain } from "../testing/run-main.js";

describe("weir doctor", () => {
  it("finds what runs here, and says what the backends need that do not", async () => {
    const { code, stdout, stderr } = await runMain("doctor", "--json");
    expect([code, stderr]).toEqual([0, ""]);
    const findings = JSON.parse(stdout) as { name: string; ok: boolean; detail: string }[];
    expect(findings.map(({ name }) => name)).toEqual(["node", "onnxruntime", "cpu", "cuda", "webgpu"]);
    expect(findings.slice(0, 3).every(({ ok }) => ok)).toBe(true);
    const detail = (name: string): string | undefined => findings.find((finding) => finding.name === name)?.detail;
    expect(detail("node")).toContain(process.version);
    expect(detail("onnxruntime")).toMatch(/^\d+\.\d+\.\d+, .*int8/);
    expect(detail("cpu")).toMatch(/^demo model ran at \d+ tok\/s in int8; weights int8, .*KV f32, int8/);
    for (const { ok, detail } of findings.slice(3)) expect(detail).toMatch(ok ? /^demo model ran at \d+ tok\/s/ : /[Ii]nstall/);
  });

  it("prints a line for each", async () => {
    const { code, stdout } = await runMain("doctor");
    expect(code).toBe(0);
    expect(stdout.match(/^(ok {2}|- {3})\w+ {2,}\S.*$/gm)).toHaveLength(5);
  });
});

import { describe, expect, it } from "vitest";
import { runMain } from "../testing/run-main.js";

// A machine without GPUs, whatever this one has: a software GPU may take minutes to compile its first kernels.
process.env["VK_DRIVER_FILES"] = "/nowhere/icd.json";
process.env["WEIR_CUDA_LIBRARY"] = "/nowhere";

describe("weir doctor", () => {
  it("finds what runs here, and says what the backends need that do not", async () => {
    const { code, stdout, stderr } = await runMain("doctor", "--json");
    expect([code, stderr]).toEqual([0, ""]);
    const findings = JSON.parse(stdout) as { name: string; ok: boolean; detail: string }[];
    expect(findings.map(({ name, ok }) => [name, ok])).toEqual([
      ["node", true],
      ["onnxruntime", true],
      ["cpu", true],
      ["cuda", false],
      ["webgpu", false],
    ]);
    const detail = (name: string): string | undefined => findings.find((finding) => finding.name === name)?.detail;
    expect(detail("node")).toContain(process.version);
    expect(detail("onnxruntime")).toMatch(/^\d+\.\d+\.\d+, .*int8/);
    expect(detail("cpu")).toMatch(/^demo model ran at \d+ tok\/s in int8; weights int8, .*KV f32, int8/);
    expect(detail("cuda")).toMatch(/CUDA execution provider was not found.*Install/s);
    expect(detail("webgpu")).toMatch(/no WebGPU adapter was found.*install/s);
  });

  it("prints a line for each", async () => {
    const { code, stdout } = await runMain("doctor");
    expect(code).toBe(0);
    expect(stdout.match(/^(ok {2}|- {3})\w+ {2,}\S.*$/gm)).toHaveLength(5);
  });
});

/** The package runs in a browser: one file loads Dawn, and no other knows Node. */
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const SOURCES = readdirSync(new URL(".", import.meta.url), { recursive: true })
  .map(String)
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts") && !file.startsWith("testing-support"));

describe("the sources", () => {
  it("import neither node: modules nor the webgpu package, but for the one file that loads it when asked", () => {
    expect(SOURCES).toContain("webgpu-backend.ts");
    const offenders = SOURCES.filter((file) => {
      const text = readFileSync(new URL(file, import.meta.url), "utf8");
      return /(from|import\() ?"(node:|webgpu")|\b(process|Buffer)\./.test(text);
    });
    expect(offenders).toEqual(["gpu/dawn-gpu.ts"]);
    const dawn = readFileSync(new URL("gpu/dawn-gpu.ts", import.meta.url), "utf8");
    expect(dawn).toContain('await import("webgpu")');
    expect(dawn).not.toMatch(/^import .*"webgpu"/m);
  });

  it("give a page its own GPU, and say what is missing where it has none", async () => {
    const { defaultGpu } = await import("./gpu/browser-gpu.js");
    await expect(defaultGpu()).rejects.toMatchObject({ code: "backend_unavailable" });
    const gpu = {} as GPU;
    const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
    Object.defineProperty(globalThis, "navigator", { value: { gpu }, configurable: true });
    try {
      expect(await defaultGpu()).toBe(gpu);
    } finally {
      if (before) Object.defineProperty(globalThis, "navigator", before);
      else Reflect.deleteProperty(globalThis, "navigator");
    }
  });
});

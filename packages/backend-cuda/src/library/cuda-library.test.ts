import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { findCudaLibrary } from "./cuda-library.js";

const ROOT = mkdtempSync(join(tmpdir(), "weir-cuda-library-"));
afterAll(() => rmSync(ROOT, { recursive: true }));
const LINUX = { platform: "linux", arch: "x64", environment: {} };
const PROVIDERS = ["libonnxruntime_providers_cuda.so", "libonnxruntime_providers_shared.so"];

describe("findCudaLibrary", () => {
  it("takes the folder or a file in it, from the option before the environment", () => {
    const folder = folderOf("whole", [...PROVIDERS, "libonnxruntime.so.1.30.0"]);
    const wanted = join(folder, "libonnxruntime.so.1.30.0");
    expect(findCudaLibrary({ ...LINUX, libraryPath: folder })).toBe(wanted);
    expect(findCudaLibrary({ ...LINUX, libraryPath: join(folder, PROVIDERS[0]!) })).toBe(wanted);
    expect(findCudaLibrary({ ...LINUX, environment: { WEIR_CUDA_LIBRARY: folder } })).toBe(wanted);
    const environment = { WEIR_CUDA_LIBRARY: join(ROOT, "nowhere") };
    expect(findCudaLibrary({ ...LINUX, libraryPath: folder, environment })).toBe(wanted);
  });

  it("looks into an active Python environment", () => {
    const folder = folderOf("venv/lib/python3.12/site-packages/onnxruntime/capi", [...PROVIDERS, "libonnxruntime.so.1"]);
    expect(findCudaLibrary({ ...LINUX, environment: { VIRTUAL_ENV: join(ROOT, "venv") } })).toBe(join(folder, "libonnxruntime.so.1"));
  });

  it.each([
    ["no such folder", "nowhere", [], /nowhere \(no such folder\)/],
    [
      "no provider",
      "bare",
      ["libonnxruntime.so.1"],
      /bare \(no libonnxruntime_providers_cuda\.so, no libonnxruntime_providers_shared\.so\)/,
    ],
    ["no ONNX Runtime", "providers", PROVIDERS, /providers \(no ONNX Runtime beside the provider\)/],
  ])("with %s says where it looked and what to install", (_, name, files, message) => {
    const folder = files.length === 0 ? join(ROOT, name) : folderOf(name, files);
    const find = (): string => findCudaLibrary({ ...LINUX, libraryPath: folder });
    expect(find).toThrow(expect.objectContaining({ code: "backend_unavailable", message: expect.stringMatching(message) }));
    expect(find).toThrow(/ONNXRUNTIME_NODE_INSTALL=cuda12 node .*install\.js/);
    expect(find).toThrow(/pip install onnxruntime-gpu==1\.30\.0.*libraryPath.*WEIR_CUDA_LIBRARY/);
    expect(find).toThrow(/cpuBackend\(\).*provider: 'webgpu'/);
  });

  it("says that CUDA is not for every platform", () => {
    expect(() => findCudaLibrary({ platform: "darwin", arch: "arm64" })).toThrow(
      /CUDA runs on linux-x64 and win32-x64, this is darwin-arm64/,
    );
  });
});

function folderOf(name: string, files: readonly string[]): string {
  const folder = join(ROOT, name);
  mkdirSync(folder, { recursive: true });
  for (const file of files) writeFileSync(join(folder, file), "");
  return folder;
}

/** OrtMemoryInfo of the CPU: says where the memory behind an OrtValue lies. One per thread is enough. */
import { NativeHandle } from "./handle.js";
import type { OrtLibrary } from "./library.js";

const ARENA_ALLOCATOR = 1;
const MEM_TYPE_DEFAULT = 0;

export class CpuMemoryInfo extends NativeHandle {
  constructor(library: OrtLibrary) {
    super(
      library,
      "memory-info",
      "ReleaseMemoryInfo",
      library.out("CreateCpuMemoryInfo", "memory info", ARENA_ALLOCATOR, MEM_TYPE_DEFAULT),
    );
  }
}

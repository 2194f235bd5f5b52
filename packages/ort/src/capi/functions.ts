/**
 * The C API entries that Weir calls: index into OrtApi's table of function pointers and C types.
 * The order of that table is frozen and append-only, so an index holds for every release from the version on
 * that introduced it. Read by `library.ts`; nothing else knows an index.
 */

/** A native address. ONNX Runtime's opaque structs are never looked into. */
export type Pointer = bigint;

/** What may be passed for a `void*`: an address, null, or memory that only has to live until the call returns. */
export type PointerArg = Pointer | null | ArrayBufferView;

export type NativeArg = PointerArg | number | string | readonly string[];

/** A bound C function. `OrtStatus*` results are null when all went well. */
export interface NativeFunction {
  (...args: NativeArg[]): Pointer | null;
  /** Runs on a thread of the pool; all memory passed must stay where it is until the callback. */
  readonly async: (...args: [...NativeArg[], (error: unknown, result: Pointer | null) => void]) => void;
}

/** [index, result, ...arguments]; `path` is char* or, on Windows, wchar_t*. */
export type Signature = readonly [number, "status" | "void", ...CType[]];

/** `strs` is an array of zero-terminated strings, which lives until the call returns. */
export type CType = "ptr" | "size" | "int" | "str" | "strs" | "path";

/**
 * Entries of OrtApi. Those of `FUNCTIONS` up to index 169 exist since version 8 of the API (`MIN_API_VERSION`); execution
 * providers by name, and devices, came later: whoever uses those calls `requireApi(DEVICE_API_VERSION)` first.
 */
export const FUNCTIONS = {
  CreateEnv: [3, "status", "int", "str", "ptr"],
  CreateSession: [7, "status", "ptr", "path", "ptr", "ptr"],
  CreateSessionFromArray: [8, "status", "ptr", "ptr", "size", "ptr", "ptr"],
  Run: [9, "status", "ptr", "ptr", "ptr", "ptr", "size", "ptr", "size", "ptr"],
  CreateSessionOptions: [10, "status", "ptr"],
  EnableProfiling: [14, "status", "ptr", "path"],
  DisableMemPattern: [17, "status", "ptr"],
  DisableCpuMemArena: [19, "status", "ptr"],
  SetSessionGraphOptimizationLevel: [23, "status", "ptr", "int"],
  SetIntraOpNumThreads: [24, "status", "ptr", "int"],
  SetInterOpNumThreads: [25, "status", "ptr", "int"],
  SessionGetInputCount: [30, "status", "ptr", "ptr"],
  SessionGetOutputCount: [31, "status", "ptr", "ptr"],
  SessionGetInputName: [36, "status", "ptr", "size", "ptr", "ptr"],
  SessionGetOutputName: [37, "status", "ptr", "size", "ptr", "ptr"],
  CreateTensorAsOrtValue: [48, "status", "ptr", "ptr", "size", "int", "ptr"],
  CreateTensorWithDataAsOrtValue: [49, "status", "ptr", "ptr", "size", "ptr", "size", "int", "ptr"],
  CreateMemoryInfo: [68, "status", "str", "int", "int", "int", "ptr"],
  CreateCpuMemoryInfo: [69, "status", "int", "int", "ptr"],
  AllocatorFree: [76, "status", "ptr", "ptr"],
  GetAllocatorWithDefaultOptions: [78, "status", "ptr"],
  ReleaseEnv: [92, "void", "ptr"],
  ReleaseStatus: [93, "void", "ptr"],
  ReleaseMemoryInfo: [94, "void", "ptr"],
  ReleaseSession: [95, "void", "ptr"],
  ReleaseValue: [96, "void", "ptr"],
  ReleaseSessionOptions: [100, "void", "ptr"],
  SessionEndProfiling: [110, "status", "ptr", "ptr", "ptr"],
  CreateEnvWithGlobalThreadPools: [119, "status", "int", "str", "ptr", "ptr"],
  DisablePerSessionThreads: [120, "status", "ptr"],
  CreateThreadingOptions: [121, "status", "ptr"],
  ReleaseThreadingOptions: [122, "void", "ptr"],
  GetAvailableProviders: [125, "status", "ptr", "ptr"],
  ReleaseAvailableProviders: [126, "status", "ptr", "int"],
  AddSessionConfigEntry: [130, "status", "ptr", "str", "str"],
  CreateAllocator: [131, "status", "ptr", "ptr", "ptr"],
  ReleaseAllocator: [132, "void", "ptr"],
  RunWithBinding: [133, "status", "ptr", "ptr", "ptr"],
  CreateIoBinding: [134, "status", "ptr", "ptr"],
  ReleaseIoBinding: [135, "void", "ptr"],
  BindInput: [136, "status", "ptr", "str", "ptr"],
  BindOutput: [137, "status", "ptr", "str", "ptr"],
  ClearBoundInputs: [141, "void", "ptr"],
  ClearBoundOutputs: [142, "void", "ptr"],
  CreateAndRegisterAllocator: [144, "status", "ptr", "ptr", "ptr"],
  SetGlobalIntraOpNumThreads: [147, "status", "ptr", "int"],
  SetGlobalInterOpNumThreads: [148, "status", "ptr", "int"],
  SetGlobalSpinControl: [149, "status", "ptr", "int"],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, "status", "ptr", "ptr"],
  CreateCUDAProviderOptions: [205, "status", "ptr"],
  UpdateCUDAProviderOptions: [206, "status", "ptr", "strs", "strs", "size"],
  ReleaseCUDAProviderOptions: [208, "void", "ptr"],
  SessionOptionsAppendExecutionProvider: [216, "status", "ptr", "str", "strs", "strs", "size"],
} as const;

export type OrtFunctionName = keyof typeof FUNCTIONS;

/** Version asked of GetApi: the oldest that has every entry up to index 169. */
export const MIN_API_VERSION = 8;

/** Version that has every entry above, those of execution providers included. */
export const DEVICE_API_VERSION = 12;

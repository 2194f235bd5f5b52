/**
 * Releases a session whose owner is gone: a thread that was ended from outside (an exhausted heap, `terminate()`) runs
 * no code any more, and native sessions are the process's. In: the address it left behind. Called from another thread.
 */
import { loadOrtLibrary } from "./library.js";
import type { Pointer } from "./functions.js";

/**
 * @param address what `Session.pointer` was; no run of it may be pending, and nobody may use or release it after this
 * @param libraryPath the library it was made with. Default: the one inside onnxruntime-node
 * @throws BackendUnavailableError
 */
export function releaseSession(address: Pointer, libraryPath?: string): void {
  loadOrtLibrary(libraryPath).fn("ReleaseSession")(address);
}

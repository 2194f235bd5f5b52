import { describe, expect, it } from "vitest";
import { builtModule } from "./built-module.js";

describe("builtModule", () => {
  it("names a source module by its built twin", () => {
    expect(builtModule("file:///src/weir/packages/ort/src/a/b.ts")).toBe("file:///src/weir/packages/ort/dist/a/b.js");
  });

  it("leaves built modules alone, whatever their folders are called", () => {
    expect(builtModule("file:///src/x/dist/a.js")).toBe("file:///src/x/dist/a.js");
  });
});

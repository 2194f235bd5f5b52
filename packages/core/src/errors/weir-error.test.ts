import { describe, expect, it } from "vitest";
import { InvalidRequestError, WeirError } from "../index.js";

describe("WeirError", () => {
  it("is recognised by its marker, not by its class, so that two copies of the package agree", () => {
    const foreign = Object.assign(new Error("x"), { [Symbol.for("weir.error")]: true, code: "timeout" });
    expect(WeirError.isInstance(foreign)).toBe(true);
    expect(WeirError.isInstance(new Error("x"))).toBe(false);
    expect(WeirError.isInstance(null)).toBe(false);
  });

  it("carries a stable code, its class name and its cause", () => {
    const cause = new Error("inner");
    const error = new InvalidRequestError("temperature is -1", { cause });
    expect(error).toMatchObject({ code: "invalid_request", name: "InvalidRequestError", cause });
  });
});

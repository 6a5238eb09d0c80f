// Which texts of a client count as W3C trace context.
import { describe, expect, it } from "vitest";
import { parseTraceparent } from "../../src/lib/trace-context.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const SPAN = "b7ad6b7169203331";

describe("a traceparent", () => {
  it.each(["00", "01", "ff"])("gives its trace id with the flags %s", (flags) => {
    expect(parseTraceparent(`00-${TRACE}-${SPAN}-${flags}`)).toBe(TRACE);
  });

  it.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 7],
    ["a list with a valid one", [`00-${TRACE}-${SPAN}-01`]],
    ["an empty text", ""],
    ["another version", `01-${TRACE}-${SPAN}-01`],
    ["the forbidden version", `ff-${TRACE}-${SPAN}-01`],
    ["upper-case digits", `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ["a trace id of zeros", `00-${"0".repeat(32)}-${SPAN}-01`],
    ["a span id of zeros", `00-${TRACE}-${"0".repeat(16)}-01`],
    ["a short trace id", `00-${TRACE.slice(1)}-${SPAN}-01`],
    ["text after it", `00-${TRACE}-${SPAN}-01-more`],
    ["a line end after it", `00-${TRACE}-${SPAN}-01\n`],
    ["space before it", ` 00-${TRACE}-${SPAN}-01`],
  ])("is ignored when it is %s", (_case, value) => {
    expect(parseTraceparent(value)).toBeUndefined();
  });
});

// Tests how long commands show their progress: on a terminal, and in a log.
import { PassThrough } from "node:stream";
import { describe, expect, it } from "vitest";
import { createProgress, describeProgress } from "../../cli/kit/progress.ts";

function openStream(isTTY: boolean): { readonly stream: NodeJS.WriteStream; readonly text: () => string } {
  const pass = new PassThrough();
  const stream = Object.assign(pass, { isTTY, columns: 80, clearLine: () => true, cursorTo: () => true });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => String(pass.read() ?? "") };
}

describe("progress", () => {
  it("is plain lines without control characters when standard error is no terminal", () => {
    const { stream, text } = openStream(false);
    const progress = createProgress({ verb: "Loading", total: 300, stream, startAfterMs: 0 });
    progress.add("orders", 100);
    progress.add("a\u001b[2Kb", 200);
    progress.finish();
    expect(text()).toBe("Loading orders: 0 of 300 rows\nLoading aU+001B[2Kb: 300 of 300 rows\n");
  });

  it("is one changing line on a terminal, which ends removed and lets the process end", () => {
    const { stream, text } = openStream(true);
    const progress = createProgress({ verb: "Sending", total: 300, done: 100, stream, startAfterMs: 0 });
    progress.add("orders", 200);
    progress.finish();
    const written = text();
    expect(written).toContain("Sending orders: 300 of 300 rows");
    expect(written).not.toContain("\n");
  });

  it.each([0, 300])("shows nothing for %i rows that take no time", (total) => {
    const { stream, text } = openStream(false);
    const progress = createProgress({ verb: "Loading", total, stream });
    if (total > 0) progress.add("orders", total);
    progress.finish();
    expect(text()).toBe("");
  });

  it.each([
    [{ value: 20_000, total: 80_000, eta: 45 }, "Loading orders: 20,000 of 80,000 rows, about 45 s left"],
    [{ value: 20_000, total: 80_000, eta: 90 }, "Loading orders: 20,000 of 80,000 rows, about 2 min left"],
    [{ value: 80_000, total: 80_000, eta: 0 }, "Loading orders: 80,000 of 80,000 rows"],
    [{ value: 1, total: 80_000, eta: NaN }, "Loading orders: 1 of 80,000 rows"],
  ])("says %o", (params, text) => {
    expect(describeProgress("Loading orders", params)).toBe(text);
  });

  it("says only how much is done when the total is not known", () => {
    const params = { value: 20_000, total: null, eta: 3 };
    expect(describeProgress("Exporting records", params, "records")).toBe("Exporting records: 20,000 records");
    const { stream, text } = openStream(false);
    const progress = createProgress({ verb: "Exporting", unit: "records", total: null, stream, startAfterMs: 0 });
    progress.add("all", 500);
    progress.finish();
    expect(text()).toContain("Exporting all: 500 records");
  });
});

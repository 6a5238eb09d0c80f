// Spans in a runtime that records no trace, lacks tracing or has another form of it: the work must run all the same.
import { describe, expect, it } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { createPlatformSpans } from "../../src/app/platform-spans.ts";
import { createWithAudit } from "../../src/audit/audit.ts";
import { AppError } from "../../src/errors.ts";
import { NO_SPANS } from "../../src/lib/spans.ts";
import { callerAs } from "../support/gateway.ts";
import { ledgerOf } from "../support/members.ts";

describe.each([
  ["a runtime that records no trace", createPlatformSpans()],
  ["a runtime without spans", createPlatformSpans({})],
  ["no runtime", NO_SPANS],
])("spans of %s", (_name, { withSpan, readTraceId }) => {
  it("return what the work returns", async () => {
    const answer = await withSpan("gatehouse.guard", { source: "shop" }, async (setAttributes) => {
      setAttributes({ rows: 2 });
      return withSpan("gatehouse.source.batch", { statements: 3 }, async () => 7);
    });
    expect(answer).toBe(7);
  });

  it("pass the error of the work on, unchanged", async () => {
    const error = new AppError("query_failed", "message");
    await expect(withSpan("gatehouse.call", {}, async () => Promise.reject(error))).rejects.toBe(error);
  });

  it("know no trace", () => {
    expect(readTraceId()).toBeNull();
  });
});

describe("an audited call", () => {
  it.each([
    ["knows the trace that it belongs to", "0af7651916cd43dd8448eb211c80319c"],
    ["knows that there is none", null],
  ])("%s", async (_case, traceId) => {
    const withAudit = createWithAudit({
      policy: sample.policy,
      openLedger: ledgerOf,
      newId: () => crypto.randomUUID(),
      waitUntil: () => {},
      ...(traceId === null ? {} : { readTraceId: () => traceId }),
    });
    const request = { operation: "describe", requestText: "", reservedRows: 0, lockedSource: null };
    const work = async (call: { readonly traceId: string | null }) => ({
      answer: call.traceId,
      datasets: [],
      rules: [],
    });
    expect(await withAudit(callerAs("analyst@harbor.example"), request, work)).toBe(traceId);
  });
});

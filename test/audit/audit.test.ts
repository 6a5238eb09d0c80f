// The audit of every operation: no answer is returned without its audit record, whatever fails.
import { describe, expect, it } from "vitest";
import { ResultNumberUsedError, StillRunningError, createWithAudit } from "../../src/audit/audit.ts";
import { AppError } from "../../src/errors.ts";
import { NO_MEMBER_RECORD } from "../../src/policy/model.ts";
import type { BeginResult, CommitResult, Ledger, Outcome, UnstoredResult } from "../../src/audit/audit-record.ts";
import sample from "../../sample/gatehouse.config.ts";

const caller = { identity: { subjectId: "s", email: "analyst@harbor.example", groups: [] }, clientId: "c" };
const request = { operation: "query", requestText: "SELECT 1", reservedRows: 5, lockedSource: "shop" };
const audited = { answer: "the answer", datasets: ["d"], rules: ["r"], rows: 1 };

/** Creates the audit over a fake ledger whose answers the test chooses. */
function auditOver(
  begin: () => Promise<BeginResult>,
  commit: () => Promise<CommitResult>,
  reportUnstored: () => Promise<unknown> = async () => undefined,
) {
  const committed: Outcome[] = [];
  const lockStates: string[] = [];
  const unstored: UnstoredResult[] = [];
  const background: Promise<unknown>[] = [];
  const ledger: Ledger = {
    begin,
    commit: async (_call, outcome, { queryLock }) => {
      committed.push(outcome);
      lockStates.push(queryLock);
      return commit();
    },
    release: async () => void lockStates.push("released"),
    async reportUnstored(_call, report) {
      unstored.push(report);
      await reportUnstored();
    },
  };
  const waitUntil = (work: Promise<unknown>): void => void background.push(work);
  const withAudit = createWithAudit({
    policy: sample.policy,
    openLedger: () => ledger,
    newId: () => "call",
    waitUntil,
  });
  return { committed, lockStates, unstored, background, withAudit };
}

const results = { number: 1, committedCalls: [] };
const ok = async () =>
  ({
    ok: true,
    seq: 1,
    bookmark: null,
    member: NO_MEMBER_RECORD,
    results,
    nearLimits: [],
    pausedSources: [],
    untrustedMs: null,
  }) as const;
const disconnected = async () => Promise.reject(new Error("network connection lost"));

describe("createWithAudit", () => {
  it("returns the answer after it is recorded", async () => {
    const { withAudit, committed } = auditOver(ok, ok);
    expect(await withAudit(caller, request, async () => audited)).toBe("the answer");
    expect(committed).toMatchObject([{ result: "answered", datasets: ["d"], rules: ["r"], rows: 1 }]);
  });

  it("does not start the work when begin fails", async () => {
    const { withAudit } = auditOver(disconnected, ok);
    let hasWorked = false;
    await expect(withAudit(caller, request, async () => ((hasWorked = true), audited))).rejects.toThrow(
      "network connection lost",
    );
    expect(hasWorked).toBe(false);
  });

  it("returns nothing when commit fails", async () => {
    const { withAudit } = auditOver(ok, disconnected);
    await expect(withAudit(caller, request, async () => audited)).rejects.toThrow("network connection lost");
  });

  it("returns nothing when the lease is gone", async () => {
    const { withAudit } = auditOver(ok, async () => ({ ok: false, reason: "no_lease" }));
    await expect(withAudit(caller, request, async () => audited)).rejects.toMatchObject({ code: "interrupted" });
  });

  it.each([
    [{ ok: false, reason: "record_full" }, "record_full"],
    [
      { ok: false, reason: "budget_spent", budget: { limit: "rowsPerDay", used: 7, most: 7, resetMs: 0 } },
      "limit_reached",
    ],
    [{ ok: false, reason: "busy" }, "limit_reached"],
    [{ ok: false, reason: "members_unavailable" }, "source_unavailable"],
  ] as const)("maps the begin result %j to the error code %s", async (beginResult, code) => {
    const { withAudit, committed } = auditOver(async () => beginResult, ok);
    await expect(withAudit(caller, request, async () => audited)).rejects.toMatchObject({ code });
    expect(committed).toEqual([]);
  });

  it.each([
    [new AppError("query_failed", "x"), { result: "failed", code: "query_failed" }],
    [new Error("a defect with secret 4711"), { result: "failed", code: "internal" }],
  ])("records the failure %s before it throws", async (error, outcome) => {
    const { withAudit, committed } = auditOver(ok, ok);
    await expect(withAudit(caller, request, async () => Promise.reject(error))).rejects.toBe(error);
    expect(committed).toMatchObject([outcome]);
    expect(JSON.stringify(committed)).not.toContain("4711");
  });
});

describe("a call that stores a result", () => {
  it("stores it while its record is written, and returns the answer after both", async () => {
    const steps: string[] = [];
    const recorded = Promise.withResolvers<void>();
    const { withAudit, committed } = auditOver(ok, async () => {
      steps.push("commit");
      await recorded.promise;
      return ok();
    });
    const keep = async (): Promise<void> => {
      steps.push("keep");
      recorded.resolve();
    };
    const answer = withAudit(caller, request, async () => ({ ...audited, result: "r1", keep }));
    expect(await answer).toBe("the answer");
    expect(steps).toEqual(["commit", "keep"]);
    expect(committed).toMatchObject([{ result: "answered", kept: "r1" }]);
  });

  it("returns nothing when only the result could not be stored, and the ledger learns of it", async () => {
    const { withAudit, unstored } = auditOver(ok, ok);
    const work = async () => ({ ...audited, result: "r1", keep: async () => Promise.reject(new Error("no room")) });
    await expect(withAudit(caller, request, work)).rejects.toThrow("no room");
    expect(unstored).toEqual([{ subjectId: "s", lastNumber: null }]);
  });

  it("tells the ledger the last number when the workspace has used the number before", async () => {
    const { withAudit, unstored } = auditOver(ok, ok);
    const keep = async () => Promise.reject(new ResultNumberUsedError(57));
    await expect(withAudit(caller, request, async () => ({ ...audited, result: "r1", keep }))).rejects.toMatchObject({
      code: "interrupted",
    });
    expect(unstored).toEqual([{ subjectId: "s", lastNumber: 57 }]);
  });

  it("gives the caller the first error, and the log both, when the ledger cannot learn that a result was not stored", async () => {
    const { withAudit } = auditOver(ok, ok, disconnected);
    const noRoom = new AppError("source_unavailable", "no room");
    const keep = async () => Promise.reject(noRoom);
    await expect(withAudit(caller, request, async () => ({ ...audited, result: "r1", keep }))).rejects.toMatchObject({
      code: "source_unavailable",
      publicMessage: "no room",
      cause: { errors: [noRoom, expect.objectContaining({ message: "network connection lost" })] },
    });
  });

  it("returns nothing when only its record could not be written, although the result was stored", async () => {
    const { withAudit, unstored } = auditOver(ok, disconnected);
    let isKept = false;
    const keep = async (): Promise<void> => void (isKept = true);
    await expect(withAudit(caller, request, async () => ({ ...audited, result: "r1", keep }))).rejects.toThrow(
      "network connection lost",
    );
    expect([isKept, unstored]).toEqual([true, []]);
  });
});

describe("a query that takes too long", () => {
  it("keeps its lock until the database has finished or failed", async () => {
    for (const end of ["resolve", "reject"] as const) {
      const { withAudit, lockStates, background, committed } = auditOver(ok, ok);
      const work = Promise.withResolvers<void>();
      const stillRunning = new StillRunningError(new AppError("limit_reached", "late"), work.promise);
      await expect(withAudit(caller, request, async () => Promise.reject(stillRunning))).rejects.toBe(stillRunning);
      expect(committed).toMatchObject([{ result: "failed", code: "limit_reached" }]);
      expect(lockStates).toEqual(["kept"]);
      work[end]();
      await Promise.all(background);
      expect(lockStates).toEqual(["kept", "released"]);
    }
  });

  it.each([
    ["its lease is gone", async () => ({ ok: false, reason: "no_lease" }) as const],
    ["the ledger does not answer", disconnected],
  ])("frees its lock after the database has finished when %s", async (_title, commit) => {
    const { withAudit, lockStates, background } = auditOver(ok, commit);
    const work = Promise.withResolvers<void>();
    const stillRunning = new StillRunningError(new AppError("limit_reached", "late"), work.promise);
    await expect(withAudit(caller, request, async () => Promise.reject(stillRunning))).rejects.toThrow();
    expect(lockStates).not.toContain("released");
    work.resolve();
    await Promise.all(background);
    expect(lockStates.at(-1)).toBe("released");
  });
});

describe("onSubject", () => {
  it("records a failed call when it throws", async () => {
    const committed: Outcome[] = [];
    const ledger: Ledger = {
      begin: ok,
      commit: async (_call, outcome) => (committed.push(outcome), ok()),
      release: async () => {},
      reportUnstored: async () => {},
    };
    const onSubject = async () => Promise.reject(new Error("the table is locked"));
    const dependencies = { policy: sample.policy, openLedger: () => ledger, newId: () => "call", waitUntil: () => {} };
    const withAudit = createWithAudit({ ...dependencies, onSubject });
    await expect(withAudit(caller, request, async () => audited)).rejects.toThrow("the table is locked");
    expect(committed).toMatchObject([{ result: "failed", code: "internal" }]);
  });
});

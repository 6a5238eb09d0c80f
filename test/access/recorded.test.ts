// The frame around every operation: no answer without its record, whatever goes wrong where.
import { describe, expect, it } from "vitest";
import { StillRunning, createRecorder } from "../../src/access/recorded.ts";
import { AppError } from "../../src/errors.ts";
import { NO_RECORD } from "../../src/policy/model.ts";
import type { BeginResult, CommitResult, Ledger, Outcome } from "../../src/ledger/record.ts";
import sample from "../../sample/gatehouse.config.ts";

const caller = { identity: { subjectId: "s", email: "analyst@harbor.example", groups: [] }, clientId: "c" };
const request = { operation: "query", asked: "SELECT 1", maxRows: 5, slot: "shop" };
const answered = { answer: "the answer", datasets: ["d"], rules: ["r"], rows: 1 };

/** A ledger at the far end of a broken wire: what it says is the test's choice. */
function ledgerThat(begin: () => Promise<BeginResult>, commit: () => Promise<CommitResult>) {
  const committed: Outcome[] = [];
  const slots: string[] = [];
  const after: Promise<unknown>[] = [];
  const ledger: Ledger = {
    begin,
    commit: async (_call, outcome, { slot }) => {
      committed.push(outcome);
      slots.push(slot);
      return commit();
    },
    release: async () => void slots.push("released"),
  };
  const waitUntil = (work: Promise<unknown>): void => void after.push(work);
  const record = createRecorder({ policy: sample.policy, ledgerOf: () => ledger, newId: () => "call", waitUntil });
  return { committed, slots, after, record };
}

const ok = async () => ({ ok: true, seq: 1, bookmark: null, member: NO_RECORD }) as const;
const lost = async () => Promise.reject(new Error("network connection lost"));

describe("the recorder", () => {
  it("hands out the answer once it is recorded", async () => {
    const { record, committed } = ledgerThat(ok, ok);
    expect(await record(caller, request, async () => answered)).toBe("the answer");
    expect(committed).toMatchObject([{ result: "answered", datasets: ["d"], rules: ["r"], rows: 1 }]);
  });

  it("does not begin the work when begin fails", async () => {
    const { record } = ledgerThat(lost, ok);
    let worked = false;
    await expect(record(caller, request, async () => ((worked = true), answered))).rejects.toThrow(
      "network connection lost",
    );
    expect(worked).toBe(false);
  });

  it("hands out nothing when commit fails", async () => {
    const { record } = ledgerThat(ok, lost);
    await expect(record(caller, request, async () => answered)).rejects.toThrow("network connection lost");
  });

  it("hands out nothing when the lease is gone", async () => {
    const { record } = ledgerThat(ok, async () => ({ ok: false, reason: "no_lease" }));
    await expect(record(caller, request, async () => answered)).rejects.toMatchObject({ code: "interrupted" });
  });

  it.each([
    [{ ok: false, reason: "record_full" }, "record_full"],
    [{ ok: false, reason: "rows_spent", rowsPerDay: 7 }, "limit_reached"],
    [{ ok: false, reason: "busy" }, "limit_reached"],
    [{ ok: false, reason: "members_unavailable" }, "source_unavailable"],
  ] as const)("says why it refuses: %j", async (begun, code) => {
    const { record, committed } = ledgerThat(async () => begun, ok);
    await expect(record(caller, request, async () => answered)).rejects.toMatchObject({ code });
    expect(committed).toEqual([]);
  });

  it.each([
    [new AppError("query_failed", "x"), { result: "failed", code: "query_failed" }],
    [new Error("a defect with secret 4711"), { result: "failed", code: "internal" }],
  ])("records a failure before it leaves: %s", async (error, outcome) => {
    const { record, committed } = ledgerThat(ok, ok);
    await expect(record(caller, request, async () => Promise.reject(error))).rejects.toBe(error);
    expect(committed).toMatchObject([outcome]);
    expect(JSON.stringify(committed)).not.toContain("4711");
  });
});

describe("a query that outlasts its person's patience", () => {
  it("keeps its slot until the database is done, however that ends", async () => {
    for (const end of ["resolve", "reject"] as const) {
      const { record, slots, after, committed } = ledgerThat(ok, ok);
      const work = Promise.withResolvers<void>();
      const late = new StillRunning(new AppError("limit_reached", "late"), work.promise);
      await expect(record(caller, request, async () => Promise.reject(late))).rejects.toBe(late);
      expect(committed).toMatchObject([{ result: "failed", code: "limit_reached" }]);
      expect(slots).toEqual(["kept"]);
      work[end]();
      await Promise.all(after);
      expect(slots).toEqual(["kept", "released"]);
    }
  });

  it.each([
    ["its lease is gone", async () => ({ ok: false, reason: "no_lease" }) as const],
    ["the ledger does not answer", lost],
  ])("frees its slot once the database is done, also when %s", async (_title, commit) => {
    const { record, slots, after } = ledgerThat(ok, commit);
    const work = Promise.withResolvers<void>();
    const late = new StillRunning(new AppError("limit_reached", "late"), work.promise);
    await expect(record(caller, request, async () => Promise.reject(late))).rejects.toThrow();
    expect(slots).not.toContain("released");
    work.resolve();
    await Promise.all(after);
    expect(slots.at(-1)).toBe("released");
  });
});

describe("what is done with the subject before the work", () => {
  it("is recorded as a failure of the call when it fails", async () => {
    const committed: Outcome[] = [];
    const ledger: Ledger = {
      begin: ok,
      commit: async (_call, outcome) => (committed.push(outcome), ok()),
      release: async () => {},
    };
    const onSubject = async () => Promise.reject(new Error("the table is locked"));
    const parts = { policy: sample.policy, ledgerOf: () => ledger, newId: () => "call", waitUntil: () => {} };
    const record = createRecorder({ ...parts, onSubject });
    await expect(record(caller, request, async () => answered)).rejects.toThrow("the table is locked");
    expect(committed).toMatchObject([{ result: "failed", code: "internal" }]);
  });
});

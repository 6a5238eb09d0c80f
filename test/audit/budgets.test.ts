// The budgets of one owner: what a call would pass, when the count begins again, and who is told.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import type { Budgets } from "../../src/audit/budgets.ts";
import { createBudgets } from "../../src/audit/budgets.ts";
import { describeNearBudgets, describeSpentBudget } from "../../src/audit/budget-limits.ts";
import type { BudgetLimits, Usage } from "../../src/audit/budget-limits.ts";
import { newId } from "../../src/lib/ids.ts";

const NOON = Date.parse("2026-11-28T12:00:00Z");
const NOTHING: Usage = { rows: 0, bytes: 0, calls: 0, reveals: 0 };
const ONE: Usage = { rows: 1, bytes: 1, calls: 1, reveals: 1 };
const LIMITS: BudgetLimits = {
  rowsPerDay: 100,
  bytesPerDay: 100,
  callsPerDay: 100,
  revealsPerDay: 100,
  rowsPerBurst: 50,
  bytesPerBurst: 50,
  callsPerBurst: 50,
  revealsPerBurst: 50,
};

async function withBudgets<T>(work: (budgets: Budgets, sql: SqlStorage) => T): Promise<T> {
  const ledger = env.LEDGER.get(env.LEDGER.idFromName(newId()));
  return runInDurableObject(ledger, (_object, { storage: { sql } }) => work(createBudgets(sql, LIMITS), sql));
}

describe("budgets", () => {
  it.each(["rows", "bytes", "calls", "reveals"] as const)(
    "refuse more %s than fit into five minutes, and take them again in the next five",
    async (kind) => {
      const spent = await withBudgets((budgets) => {
        budgets.add({ ...NOTHING, [kind]: 50 }, NOON);
        const reserved = { ...NOTHING, [kind]: 1 };
        return [budgets.check(reserved, NOON + 299_999).spent, budgets.check(reserved, NOON + 300_000).spent];
      });
      expect(spent[0]).toMatchObject({ limit: `${kind}PerBurst`, most: 50, resetMs: NOON + 300_000 });
      expect(spent[1]).toBeUndefined();
    },
  );

  it.each(["rows", "bytes", "calls", "reveals"] as const)(
    "refuse more %s than fit into a UTC day, and take them again on the next",
    async (kind) => {
      const midnight = Date.parse("2026-11-29T00:00:00Z");
      const spent = await withBudgets((budgets) => {
        for (const atMs of [NOON - 600_000, NOON]) budgets.add({ ...NOTHING, [kind]: 50 }, atMs);
        const reserved = { ...NOTHING, [kind]: 1 };
        return [budgets.check(reserved, NOON + 600_000).spent, budgets.check(reserved, midnight).spent];
      });
      expect(spent[0]).toMatchObject({ limit: `${kind}PerDay`, used: 100, resetMs: midnight });
      expect(spent[1]).toBeUndefined();
    },
  );

  it("count what running calls have reserved", async () => {
    const spent = await withBudgets((budgets, sql) => {
      sql.exec(
        "INSERT INTO lease (call, attempt, began_ms, deadline_ms, rows, bytes, reveals) VALUES ('c', '{}', 1, 2, 49, 0, 50)",
      );
      return [
        budgets.check({ ...NOTHING, rows: 1 }, NOON).spent,
        budgets.check({ ...NOTHING, rows: 2 }, NOON).spent,
        budgets.check({ ...NOTHING, reveals: 1 }, NOON).spent,
      ];
    });
    expect(spent.map((state) => state?.limit)).toEqual([undefined, "rowsPerBurst", "revealsPerBurst"]);
  });

  it("are near once a call would reach 80 percent of the day", async () => {
    const near = await withBudgets((budgets) => {
      budgets.add({ ...NOTHING, rows: 79 }, NOON - 600_000);
      const before = budgets.check({ ...NOTHING, rows: 0 }, NOON).near;
      return [before, budgets.check(ONE, NOON).near];
    });
    expect(near[0]).toEqual([]);
    expect(near[1]).toMatchObject([{ limit: "rowsPerDay", used: 79, most: 100 }]);
    expect(describeNearBudgets(near[1] ?? [])).toBe("Near a limit: the user has used 79 of 100 rows per UTC day.");
  });

  it("keep nothing that is older than a day", async () => {
    const rows = await withBudgets((budgets, sql) => {
      for (const days of [0, 1, 2, 3]) budgets.add(ONE, NOON + days * 86_400_000);
      return sql.exec("SELECT count(*) AS n FROM usage").one()["n"];
    });
    expect(rows).toBe(2);
  });

  it("say when to continue", () => {
    const state = { limit: "callsPerBurst", used: 50, most: 50, resetMs: NOON } as const;
    expect(describeSpentBudget(state)).toBe(
      "Your calls are used up (50 in five minutes, shared with your personal access tokens). Continue after 12:00 UTC.",
    );
  });
});

describe("LedgerObject", () => {
  it("records a limit that was reached once in its window, and refuses nothing that takes access away", async () => {
    const subjectId = newId();
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(subjectId));
    const identity = { subjectId, email: `${subjectId}@x.example`, groups: [] };
    const build = () => ({ call: newId(), subjectId, owner: null, clientId: "c", operation: "query", asked: "" });
    await runInDurableObject(ledger, (_object, { storage: { sql } }) =>
      createBudgets(sql, sample.limits).add({ ...NOTHING, calls: sample.limits.callsPerDay }, Date.now()),
    );
    for (let count = 0; count < 3; count += 1)
      expect(await ledger.begin(build(), identity, 0, null)).toMatchObject({ ok: false, reason: "budget_spent" });
    expect(await ledger.begin(build(), identity, 0, null, "revocation")).toMatchObject({ ok: true });
    const records = (await ledger.listRecords(0, 10)).map(({ body }) => JSON.parse(body));
    expect(records).toHaveLength(1);
    // The record itself is no call.
    const calls = await runInDurableObject(ledger, (_object, { storage: { sql } }) =>
      sql.exec("SELECT sum(calls) AS calls FROM usage").one(),
    );
    expect(calls).toEqual({ calls: sample.limits.callsPerDay });
    expect(records[0]).toMatchObject({
      attempt: { operation: "reach limit", asked: "limits.callsPerDay (30000)" },
      outcome: { result: "denied", code: "limit_reached" },
    });
  });
});

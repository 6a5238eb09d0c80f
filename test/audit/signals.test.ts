// Signals to an operator: when a line is written, once for each thing and day, and what it must not hold.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { INTERRUPTED_OUTCOME } from "../../src/audit/audit-record.ts";
import type { Outcome } from "../../src/audit/audit-record.ts";
import { createSignals } from "../../src/audit/signals.ts";
import type { LogSignal, Signals } from "../../src/audit/signals.ts";
import { signalsSchema } from "../../src/config/signal-settings.ts";
import { newId } from "../../src/lib/ids.ts";
import { DEFENCE_CODES } from "../../src/sql/defence-refusal.ts";
import { subjectIdOf } from "../support/members.ts";
import { seedShop } from "../support/seed.ts";
import { callTool, tokenOf } from "../support/worker.ts";

const NOON = Date.parse("2026-11-28T12:00:00Z");
const DAY_MS = 86_400_000;
const answered = (rows: number, ...datasets: readonly string[]): Outcome => ({
  ...INTERRUPTED_OUTCOME,
  result: "answered",
  code: null,
  rows,
  datasets,
});
const DENIED: Outcome = { ...INTERRUPTED_OUTCOME, result: "denied", code: "not_found" };

interface Ledger {
  readonly signals: Signals;
  /** The lines without the subject. */
  readonly lines: readonly object[];
  readonly restart: (settings?: object) => Signals;
}

async function inLedger(work: (ledger: Ledger) => void, settings: object = {}): Promise<void> {
  const stub = env.LEDGER.get(env.LEDGER.idFromName(newId()));
  await runInDurableObject(stub, (_object, { storage: { sql } }) => {
    const lines: object[] = [];
    const log: LogSignal = ({ subject, ...line }) => {
      expect(subject).toBe("s1");
      lines.push(line);
    };
    const restart = (changed: object = settings): Signals =>
      createSignals(sql, "s1", { settings: signalsSchema.parse(changed), log });
    work({ signals: restart(), lines, restart });
  });
}

describe("the signal first_use", () => {
  it("names each dataset of which rows were returned once, also after a restart of the ledger", () =>
    inLedger(({ signals, lines, restart }) => {
      signals.observeCall("c1", answered(1, "shop.orders", "shop.customers"), undefined, NOON);
      restart().observeCall("c2", answered(1, "shop.orders"), undefined, NOON + 9 * DAY_MS);
      signals.observeCall("c3", answered(0, "shop.products"), undefined, NOON);
      signals.observeCall("c4", { ...DENIED, datasets: ["shop.products"] }, undefined, NOON);
      expect(lines).toEqual([
        { signal: "first_use", dataset: "shop.orders", call: "c1" },
        { signal: "first_use", dataset: "shop.customers", call: "c1" },
      ]);
    }));

  it("is stored for at most 2,000 datasets, and forgets the oldest", () =>
    inLedger(({ signals, lines }) => {
      for (let at = 0; at <= 2000; at += 1) signals.observeCall("c", answered(1, `d${at}`), undefined, NOON + at);
      signals.observeCall("again", answered(1, "d2000", "d1", "d0"), undefined, NOON + 3000);
      expect(lines.slice(2001)).toEqual([{ signal: "first_use", dataset: "d0", call: "again" }]);
    }));

  it("is not logged when the policy turns it off", () =>
    inLedger(
      ({ signals, lines }) => {
        signals.observeCall("c1", answered(1, "shop.orders"), undefined, NOON);
        expect(lines).toEqual([]);
      },
      { firstUse: false },
    ));
});

describe("the signal unusual_rows", () => {
  /** Uses `days` days with `rows` each before NOON's day. */
  const use = (signals: Signals, days: number, rows: number): void => {
    for (let day = days; day > 0; day -= 1)
      signals.observeCall(`day ${day}`, answered(rows), undefined, NOON - day * 2 * DAY_MS);
  };

  it("is logged once a day when the rows of a day exceed the median of other days five times", () =>
    inLedger(({ signals, lines }) => {
      use(signals, 5, 300);
      signals.observeCall("c1", answered(1500), undefined, NOON);
      expect(lines).toEqual([]);
      signals.observeCall("c2", answered(1), undefined, NOON);
      signals.observeCall("c3", answered(9000), undefined, NOON);
      const line = { signal: "unusual_rows", median: 300, days: 5 };
      expect(lines).toEqual([{ ...line, rows: 1501, call: "c2" }]);
      signals.observeCall("c4", answered(20_000), undefined, NOON + DAY_MS);
      expect(lines).toEqual([
        { ...line, rows: 1501, call: "c2" },
        { ...line, rows: 20_000, days: 6, call: "c4" },
      ]);
    }));

  it.each([
    ["a user has used fewer days than the policy names", 4, 300, 100_000],
    ["a day has fewer rows than the policy names", 5, 1, 999],
    ["the days before were alike", 5, 30_000, 40_000],
  ] as const)("is not logged when %s", (_when, days, rows, today) =>
    inLedger(({ signals, lines }) => {
      use(signals, days, rows);
      signals.observeCall("c1", answered(today), undefined, NOON);
      expect(lines).toEqual([]);
    }),
  );

  it("compares with 30 days, and stores no more", () =>
    inLedger(({ signals, lines }) => {
      use(signals, 40, 5000);
      signals.observeCall("c1", answered(50_000), undefined, NOON);
      expect(lines).toMatchObject([{ days: 30 }]);
    }));
});

describe("the signal many_denials", () => {
  it("is logged at the twentieth denial in a row, once a day, and begins again after rows", () =>
    inLedger(({ signals, lines, restart }) => {
      for (let at = 0; at < 19; at += 1) signals.observeCall("c", DENIED, undefined, NOON);
      // A list of names between two denials does not hide them.
      signals.observeCall("describe", answered(0, "shop.orders"), undefined, NOON);
      restart().observeCall("c20", DENIED, undefined, NOON);
      signals.observeCall("c21", DENIED, undefined, NOON);
      expect(lines).toEqual([{ signal: "many_denials", denials: 20, call: "c20" }]);
      signals.observeCall("rows", answered(1), undefined, NOON);
      for (let at = 0; at < 19; at += 1) signals.observeCall("c", DENIED, undefined, NOON + DAY_MS);
      expect(lines).toHaveLength(1);
      signals.observeCall("next", DENIED, undefined, NOON + DAY_MS);
      expect(lines).toHaveLength(2);
    }));

  it("is not logged when the policy turns it off", () =>
    inLedger(
      ({ signals, lines }) => {
        for (let at = 0; at < 50; at += 1) signals.observeCall("c", DENIED, undefined, NOON);
        expect(lines).toEqual([]);
      },
      { denials: 0 },
    ));
});

describe("the signal attack_sign", () => {
  const HARMLESS = ["schema_drift", "order_leak", "unknown_opcode"];
  it.each(DEFENCE_CODES.filter((code) => !HARMLESS.includes(code)))("is logged once a day for the defence %s", (code) =>
    inLedger(({ signals, lines }) => {
      for (const call of ["c1", "c2"]) signals.observeCall(call, DENIED, code, NOON);
      expect(lines).toEqual([{ signal: "attack_sign", sign: code, call: "c1" }]);
      signals.observeCall("c3", DENIED, code, NOON + DAY_MS);
      expect(lines).toHaveLength(2);
    }),
  );

  it.each(DEFENCE_CODES.filter((code) => HARMLESS.includes(code)))("is not logged for %s", (code) =>
    inLedger(({ signals, lines }) => {
      signals.observeCall("c1", DENIED, code, NOON);
      expect(lines).toEqual([]);
    }),
  );
});

describe("the log of a deployment", () => {
  beforeAll(seedShop);

  /** Runs the work, and returns the signals that the log gets meanwhile. */
  async function signalsOf(work: () => Promise<unknown>): Promise<readonly Record<string, unknown>[]> {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    try {
      await work();
      const lines = warn.mock.calls.map(([text]) => String(text));
      return lines.filter((line) => line.startsWith('{"event":"signal"')).map((line) => JSON.parse(line));
    } finally {
      warn.mockRestore();
    }
  }

  it("names subject, call and dataset of a first use, and neither address nor SQL", async () => {
    const token = await tokenOf("analyst");
    const sql = "SELECT id FROM customers WHERE id = 1";
    const lines = await signalsOf(async () => callTool(token, "query", { source: "shop", sql }));
    const subject = await subjectIdOf("analyst@harbor.example");
    const call = expect.stringMatching(/^[0-9a-f]{32}$/);
    expect(lines).toEqual([{ event: "signal", signal: "first_use", dataset: "shop.customers", subject, call }]);
  });

  it("names the code of a defence that a query reached, though the user sees another error", async () => {
    const token = await tokenOf("analyst");
    const sql = "SELECT hex(randomblob(9)) FROM customers";
    const lines = await signalsOf(async () => callTool(token, "query", { source: "shop", sql }));
    expect(lines).toMatchObject([{ signal: "attack_sign", sign: "forbidden_function" }]);
    expect(JSON.stringify(lines)).not.toContain("randomblob");
  });

  it("names a connection that ended because its refresh token was presented twice", async () => {
    const subjectId = newId();
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(subjectId));
    const attempt = { call: newId(), subjectId, owner: null, clientId: "c", operation: "end connection", asked: "" };
    const denials = ["a refresh token was presented again after the grace period; the connection was ended"];
    const append = async () => ledger.appendEvent(attempt, { ...DENIED, denials }, Date.now());
    const lines = await signalsOf(async () => {
      await append();
      await append();
      await ledger.appendEvent({ ...attempt, call: newId() }, answered(0), Date.now());
    });
    expect(lines).toEqual([
      { event: "signal", signal: "attack_sign", sign: denials[0], subject: subjectId, call: attempt.call },
    ]);
  });
});

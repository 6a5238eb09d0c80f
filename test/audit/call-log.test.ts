// The call log and the refused statements, through the gateway over real ledgers.
import { describe, expect, it } from "vitest";
import { createCallLog, parseCallLine, withCallLog } from "../../src/audit/call-log.ts";
import type { CallLine } from "../../src/audit/call-log.ts";
import { StillRunningError } from "../../src/audit/audit.ts";
import type { AuditedCall } from "../../src/audit/audit.ts";
import { MAX_REFUSED_STATEMENTS, createRefusedStatements, parseHandover } from "../../src/audit/refused-statements.ts";
import type { RefusedStatement } from "../../src/audit/refused-statements.ts";
import { AppError } from "../../src/errors.ts";
import sample from "../../sample/gatehouse.config.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { ledgerOf } from "../support/members.ts";

const KEY = new TextEncoder().encode("a key of tests with enough characters");
const SQL = "SELECT count(*) AS n FROM customers WHERE id > 4711";

/** Creates a gateway and collects its log lines. */
function createLoggedGateway(refused: readonly RefusedStatement[] = [], key: Uint8Array | null = KEY) {
  const lines: string[] = [];
  const statements = createRefusedStatements({ key, refused, contact: "the data team" });
  const logCall = createCallLog(Date.now, (line) => lines.push(line));
  const gateway = gatewayFor(sample, () => {}, { logCall, refusedStatements: statements });
  return {
    gateway,
    lines,
    statements,
    calls: (): readonly CallLine[] => lines.flatMap((line) => parseCallLine(line) ?? []),
  };
}

const ask = (sql: string, source = "shop") => ({ target: { source, sql }, params: [], rowLimit: undefined });

describe("the call log", () => {
  it("has one line when a query begins and one when it is answered, with the digest of its statement", async () => {
    const { gateway, calls, lines, statements } = createLoggedGateway();
    const caller = callerAs("analyst@harbor.example");
    await gateway.query(caller, ask(SQL));
    const subject = caller.identity.subjectId;
    const logged = {
      subject,
      owner: null,
      operation: "query",
      source: "shop",
      statement: statements.digest("shop", SQL),
    };
    expect(calls()).toMatchObject([
      { event: "call_begin", ...logged },
      { event: "call_end", ...logged, outcome: "answered" },
    ]);
    const [begin, end] = calls();
    expect(begin?.call).toBe(end?.call);
    for (const secret of ["count", "customers", "4711", "analyst", "harbor.example"])
      expect(lines.join()).not.toContain(secret);
  });

  it.each([
    ["a refused statement", ask("DELETE FROM customers"), "query_refused", "shop"],
    ["a source that is not declared", ask("SELECT 1", "SELECT secret"), "not_found", null],
  ])("names the error code but no text of the caller for %s", async (_case, request, outcome, source) => {
    const { gateway, calls, lines } = createLoggedGateway();
    await expect(gateway.query(callerAs("analyst@harbor.example"), request)).rejects.toMatchObject({ code: outcome });
    expect(calls()).toMatchObject([
      { event: "call_begin", source },
      { outcome, source },
    ]);
    expect(lines.join()).not.toMatch(/secret|customers/);
  });

  it("names the owner of a personal access token", async () => {
    const { gateway, calls } = createLoggedGateway();
    const { identity } = callerAs("analyst@harbor.example");
    const token = { id: "t", name: "nightly", ownerId: "the owner", roles: ["analyst"] };
    await gateway.listResources({ identity: { ...identity, token }, clientId: "test" });
    expect(calls()).toMatchObject([{ owner: "the owner", operation: "list resources" }, { outcome: "answered" }]);
  });

  it("has both lines for a call that the ledger refuses", async () => {
    const { gateway, calls } = createLoggedGateway();
    const caller = callerAs("analyst@harbor.example");
    const runningCall = { call: "held", owner: null, clientId: "c", operation: "query", asked: "", subjectId: "" };
    await ledgerOf(caller.identity.subjectId).begin(runningCall, caller.identity, sample.limits.rowsPerBurst, null);
    await expect(gateway.query(caller, ask(SQL))).rejects.toMatchObject({ code: "limit_reached" });
    expect(calls()).toMatchObject([{ event: "call_begin" }, { event: "call_end", outcome: "limit_reached" }]);
  });

  it("ends a call whose audit record failed only after the database has finished", async () => {
    const lines: string[] = [];
    const background: Promise<unknown>[] = [];
    const pending = Promise.withResolvers<void>();
    const stillRunning = new StillRunningError(new AppError("limit_reached", "late"), pending.promise);
    const interrupted = new AppError("interrupted", "the lease is gone");
    const withAudit = withCallLog(
      async (_caller, _request, work) => {
        await work(BEGUN).catch(() => {});
        throw interrupted;
      },
      {
        logCall: createCallLog(
          () => 0,
          (line) => lines.push(line),
        ),
        newId: () => "other",
        waitUntil: (promise) => background.push(promise),
      },
    );
    const request = { operation: "query", requestText: "", reservedRows: 0, lockedSource: null };
    await expect(withAudit(callerAs("a@b.example"), request, async () => Promise.reject(stillRunning))).rejects.toBe(
      interrupted,
    );
    expect(lines).toHaveLength(1);
    pending.resolve();
    await Promise.all(background);
    expect(parseCallLine(lines[1] ?? "")).toMatchObject({ event: "call_end", call: "c1", outcome: "interrupted" });
  });

  it("ends a call that took too long only after the database has finished", async () => {
    const lines: string[] = [];
    const background: Promise<unknown>[] = [];
    const pending = Promise.withResolvers<void>();
    const stillRunning = new StillRunningError(new AppError("limit_reached", "late"), pending.promise);
    const withAudit = withCallLog(async (_caller, _request, work) => (await work(BEGUN)).answer, {
      logCall: createCallLog(
        () => 0,
        (line) => lines.push(line),
      ),
      newId: () => "other",
      waitUntil: (promise) => background.push(promise),
    });
    const request = { operation: "query", requestText: "", reservedRows: 0, lockedSource: null };
    await expect(withAudit(callerAs("a@b.example"), request, async () => Promise.reject(stillRunning))).rejects.toBe(
      stillRunning,
    );
    expect(lines).toHaveLength(1);
    pending.resolve();
    await Promise.all(background);
    expect(parseCallLine(lines[1] ?? "")).toMatchObject({ event: "call_end", call: "c1", outcome: "limit_reached" });
  });

  it.each(["", "text", '{"event":"call_begin"', '{"event":"call_begin","call":7}', '{"event":"other"}'])(
    "ignores the line %j of the server's log",
    (line) => {
      expect(parseCallLine(line)).toBeUndefined();
    },
  );
});

const SUBJECT = { subjectId: "s", email: "a@b.example", groups: [], roles: [], attributes: {} };

const BEGUN: AuditedCall = {
  id: "c1",
  subject: SUBJECT,
  bookmark: null,
  ownerId: SUBJECT.subjectId,
  resultTicket: { number: null, committedCalls: [] },
  grantsDigest: () => "",
  traceId: null,
  pausedSources: new Map(),
  untrustedMs: null,
};

describe("a statement that stopped the server", () => {
  const { statements } = createLoggedGateway();
  const entryFor = (subject: string, sql: string): RefusedStatement => ({
    subject,
    statement: statements.digest("shop", sql) ?? "",
  });

  it("is refused to its user in every spelling and recorded, and not refused to other users", async () => {
    const [caller, otherCaller] = [callerAs("analyst@harbor.example"), callerAs("analyst@harbor.example")];
    const { gateway } = createLoggedGateway([entryFor(caller.identity.subjectId, SQL)]);
    for (const sql of [SQL, SQL.replace("4711", "12"), `/* x */ ${SQL}`, SQL.toLowerCase()])
      await expect(gateway.query(caller, ask(sql))).rejects.toMatchObject({
        code: "query_refused",
        publicMessage: expect.stringContaining("ask the data team to clear it"),
      });
    await expect(gateway.query(caller, ask("SELECT id FROM products LIMIT 1"))).resolves.toBeDefined();
    await expect(gateway.query(otherCaller, ask(SQL))).resolves.toBeDefined();
    const records = await ledgerOf(caller.identity.subjectId).listRecords(0, 10);
    expect(records.filter(({ body }) => body.includes('"query_refused"'))).toHaveLength(4);
  });

  it("is refused to a personal access token of its user", async () => {
    const { identity } = callerAs("analyst@harbor.example");
    const token = { id: "t", name: "nightly", ownerId: "the owner", roles: ["analyst"] };
    const { gateway } = createLoggedGateway([entryFor("the owner", SQL)]);
    const call = gateway.query({ identity: { ...identity, token }, clientId: "test" }, ask(SQL));
    await expect(call).rejects.toMatchObject({ code: "query_refused" });
  });

  it("is refused without waiting for the lock, which the call that stopped the server may still hold", async () => {
    const caller = callerAs("analyst@harbor.example");
    const { gateway } = createLoggedGateway([entryFor(caller.identity.subjectId, SQL)]);
    const runningCall = { call: "held", owner: null, clientId: "c", operation: "query", asked: "", subjectId: "" };
    await ledgerOf(caller.identity.subjectId).begin(runningCall, caller.identity, 1, "shop");
    const startMs = Date.now();
    await expect(gateway.query(caller, ask(SQL))).rejects.toMatchObject({ code: "query_refused" });
    expect(Date.now() - startMs).toBeLessThan(sample.limits.queueSeconds * 1000);
  });

  it("makes all SQL of a user refused when the user has the maximum of refused statements", async () => {
    const caller = callerAs("analyst@harbor.example");
    const texts = Array.from({ length: MAX_REFUSED_STATEMENTS }, (_value, index) => `SELECT c${index} FROM customers`);
    const entries = texts.map((sql) => entryFor(caller.identity.subjectId, sql));
    const question = ask("SELECT id FROM products LIMIT 1");
    await expect(createLoggedGateway(entries.slice(1)).gateway.query(caller, question)).resolves.toBeDefined();
    const { gateway } = createLoggedGateway(entries);
    await expect(gateway.query(caller, question)).rejects.toMatchObject({ code: "query_refused" });
    await expect(gateway.describe(caller, "shop.customers")).resolves.toBeDefined();
  });

  it("has a digest that depends on the key and the source, and none without a key", () => {
    const withOtherKey = createRefusedStatements({
      key: new TextEncoder().encode("another key"),
      refused: [],
      contact: "",
    });
    expect(statements.digest("shop", SQL)).toMatch(/^[0-9a-f]{32}$/);
    expect(withOtherKey.digest("shop", SQL)).not.toBe(statements.digest("shop", SQL));
    expect(statements.digest("ops", SQL)).not.toBe(statements.digest("shop", SQL));
    expect(createLoggedGateway([], null).statements.digest("shop", SQL)).toBeNull();
  });
});

describe("parseHandover", () => {
  it("returns no refused statements when the variable is not set", () => {
    expect(parseHandover(undefined)).toEqual({ refused: [] });
  });

  it.each(["no JSON", "[]", '{"refused":[{"subject":1}]}', { refused: [] }])("refuses the value %j", (text) => {
    expect(() => parseHandover(text)).toThrow("GATEHOUSE_SUPERVISOR is not what npm start sets");
  });
});

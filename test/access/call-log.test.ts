// The log of calls and the refusal of statements, through the gateway over real ledgers.
import { describe, expect, it } from "vitest";
import { createCallLog, parseCallLine, withCallLog } from "../../src/access/call-log.ts";
import type { CallLine } from "../../src/access/call-log.ts";
import { StillRunning } from "../../src/access/recorded.ts";
import { MAX_REFUSED_STATEMENTS, createStatements, parseHandover } from "../../src/access/refused-statements.ts";
import type { RefusedStatement } from "../../src/access/refused-statements.ts";
import { AppError } from "../../src/errors.ts";
import sample from "../../sample/gatehouse.config.ts";
import { callerAs, gatewayFor } from "../support/gateway.ts";
import { ledgerOf } from "../support/members.ts";

const KEY = new TextEncoder().encode("a key of tests, long enough to be one");
const SQL = "SELECT count(*) AS n FROM customers WHERE id > 4711";

/** A gateway whose log lines are kept. */
function watchedGateway(refused: readonly RefusedStatement[] = [], key: Uint8Array | null = KEY) {
  const lines: string[] = [];
  const statements = createStatements({ key, refused, contact: "the data team" });
  const logCall = createCallLog(Date.now, (line) => lines.push(line));
  const gateway = gatewayFor(sample, () => {}, { logCall, statements });
  return {
    gateway,
    lines,
    statements,
    calls: (): readonly CallLine[] => lines.flatMap((line) => parseCallLine(line) ?? []),
  };
}

const ask = (sql: string, source = "shop") => ({ what: { source, sql }, params: [], limit: undefined });

describe("the log of calls", () => {
  it("has one line when a query begins and one when it is answered, with its statement's digest", async () => {
    const { gateway, calls, lines, statements } = watchedGateway();
    const caller = callerAs("analyst@harbor.example");
    await gateway.query(caller, ask(SQL));
    const subject = caller.identity.subjectId;
    const named = {
      subject,
      owner: null,
      operation: "query",
      source: "shop",
      statement: statements.digest("shop", SQL),
    };
    expect(calls()).toMatchObject([
      { event: "call_begin", ...named },
      { event: "call_end", ...named, outcome: "answered" },
    ]);
    const [begin, end] = calls();
    expect(begin?.call).toBe(end?.call);
    for (const secret of ["count", "customers", "4711", "analyst", "harbor.example"])
      expect(lines.join()).not.toContain(secret);
  });

  it.each([
    ["a refused statement", ask("DELETE FROM customers"), "query_refused", "shop"],
    ["a source that is not declared", ask("SELECT 1", "SELECT secret"), "not_found", null],
  ])("names the error's code for %s, and no text of the caller", async (_what, request, outcome, source) => {
    const { gateway, calls, lines } = watchedGateway();
    await expect(gateway.query(callerAs("analyst@harbor.example"), request)).rejects.toMatchObject({ code: outcome });
    expect(calls()).toMatchObject([
      { event: "call_begin", source },
      { outcome, source },
    ]);
    expect(lines.join()).not.toMatch(/secret|customers/);
  });

  it("names an access token's owner", async () => {
    const { gateway, calls } = watchedGateway();
    const { identity } = callerAs("analyst@harbor.example");
    const token = { id: "t", name: "nightly", ownerId: "the owner", roles: ["analyst"] };
    await gateway.listResources({ identity: { ...identity, token }, clientId: "test" });
    expect(calls()).toMatchObject([{ owner: "the owner", operation: "list resources" }, { outcome: "answered" }]);
  });

  it("has both lines for a call that the ledger refuses", async () => {
    const { gateway, calls } = watchedGateway();
    const caller = callerAs("analyst@harbor.example");
    const held = { call: "held", owner: null, clientId: "c", operation: "query", asked: "", subjectId: "" };
    await ledgerOf(caller.identity.subjectId).begin(held, caller.identity, sample.limits.rowsPerDay, null);
    await expect(gateway.query(caller, ask(SQL))).rejects.toMatchObject({ code: "limit_reached" });
    expect(calls()).toMatchObject([{ event: "call_begin" }, { event: "call_end", outcome: "limit_reached" }]);
  });

  it("ends a call whose record failed only when the database is done", async () => {
    const lines: string[] = [];
    const background: Promise<unknown>[] = [];
    const work = Promise.withResolvers<void>();
    const late = new StillRunning(new AppError("limit_reached", "late"), work.promise);
    const interrupted = new AppError("interrupted", "the lease is gone");
    const record = withCallLog(
      async (_caller, _asked, run) => {
        await run({ id: "c1", subject: NOBODY, bookmark: null, grantsDigest: () => "" }).catch(() => {});
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
    const asked = { operation: "query", asked: "", maxRows: 0, slot: null };
    await expect(record(callerAs("a@b.example"), asked, async () => Promise.reject(late))).rejects.toBe(interrupted);
    expect(lines).toHaveLength(1);
    work.resolve();
    await Promise.all(background);
    expect(parseCallLine(lines[1] ?? "")).toMatchObject({ event: "call_end", call: "c1", outcome: "interrupted" });
  });

  it("ends a call that the user no longer waits for only when the database is done", async () => {
    const lines: string[] = [];
    const background: Promise<unknown>[] = [];
    const work = Promise.withResolvers<void>();
    const late = new StillRunning(new AppError("limit_reached", "late"), work.promise);
    const record = withCallLog(
      async (_caller, _asked, run) =>
        (await run({ id: "c1", subject: NOBODY, bookmark: null, grantsDigest: () => "" })).answer,
      {
        logCall: createCallLog(
          () => 0,
          (line) => lines.push(line),
        ),
        newId: () => "other",
        waitUntil: (promise) => background.push(promise),
      },
    );
    const asked = { operation: "query", asked: "", maxRows: 0, slot: null };
    await expect(record(callerAs("a@b.example"), asked, async () => Promise.reject(late))).rejects.toBe(late);
    expect(lines).toHaveLength(1);
    work.resolve();
    await Promise.all(background);
    expect(parseCallLine(lines[1] ?? "")).toMatchObject({ event: "call_end", call: "c1", outcome: "limit_reached" });
  });

  it.each(["", "text", '{"event":"call_begin"', '{"event":"call_begin","call":7}', '{"event":"other"}'])(
    "is not read from the line %j",
    (line) => {
      expect(parseCallLine(line)).toBeUndefined();
    },
  );
});

const NOBODY = { subjectId: "s", email: "a@b.example", groups: [], roles: [], attributes: {} };

describe("a statement that stopped the server", () => {
  const { statements } = watchedGateway();
  const entryFor = (subject: string, sql: string): RefusedStatement => ({
    subject,
    statement: statements.digest("shop", sql) ?? "",
  });

  it("is refused to its user in every spelling and with a record, and to no other user", async () => {
    const [caller, other] = [callerAs("analyst@harbor.example"), callerAs("analyst@harbor.example")];
    const { gateway } = watchedGateway([entryFor(caller.identity.subjectId, SQL)]);
    for (const sql of [SQL, SQL.replace("4711", "12"), `/* x */ ${SQL}`, SQL.toLowerCase()])
      await expect(gateway.query(caller, ask(sql))).rejects.toMatchObject({
        code: "query_refused",
        publicMessage: expect.stringContaining("ask the data team to clear it"),
      });
    await expect(gateway.query(caller, ask("SELECT id FROM products LIMIT 1"))).resolves.toBeDefined();
    await expect(gateway.query(other, ask(SQL))).resolves.toBeDefined();
    const records = await ledgerOf(caller.identity.subjectId).records(0, 10);
    expect(records.filter(({ body }) => body.includes('"query_refused"'))).toHaveLength(4);
  });

  it("is refused to an access token of its user, too", async () => {
    const { identity } = callerAs("analyst@harbor.example");
    const token = { id: "t", name: "nightly", ownerId: "the owner", roles: ["analyst"] };
    const { gateway } = watchedGateway([entryFor("the owner", SQL)]);
    const call = gateway.query({ identity: { ...identity, token }, clientId: "test" }, ask(SQL));
    await expect(call).rejects.toMatchObject({ code: "query_refused" });
  });

  it("does not wait for its user's turn on the source, which the call that stopped the server may still hold", async () => {
    const caller = callerAs("analyst@harbor.example");
    const { gateway } = watchedGateway([entryFor(caller.identity.subjectId, SQL)]);
    const held = { call: "held", owner: null, clientId: "c", operation: "query", asked: "", subjectId: "" };
    await ledgerOf(caller.identity.subjectId).begin(held, caller.identity, 1, "shop");
    const beganMs = Date.now();
    await expect(gateway.query(caller, ask(SQL))).rejects.toMatchObject({ code: "query_refused" });
    expect(Date.now() - beganMs).toBeLessThan(sample.limits.queueSeconds * 1000);
  });

  it("ends all SQL of a user who has as many as are allowed", async () => {
    const caller = callerAs("analyst@harbor.example");
    const texts = Array.from({ length: MAX_REFUSED_STATEMENTS }, (_value, index) => `SELECT c${index} FROM customers`);
    const entries = texts.map((sql) => entryFor(caller.identity.subjectId, sql));
    const question = ask("SELECT id FROM products LIMIT 1");
    await expect(watchedGateway(entries.slice(1)).gateway.query(caller, question)).resolves.toBeDefined();
    const { gateway } = watchedGateway(entries);
    await expect(gateway.query(caller, question)).rejects.toMatchObject({ code: "query_refused" });
    await expect(gateway.describe(caller, "shop.customers")).resolves.toBeDefined();
  });

  it("has a digest that another key does not make, and none without a key", () => {
    const other = createStatements({ key: new TextEncoder().encode("another key"), refused: [], contact: "" });
    expect(statements.digest("shop", SQL)).toMatch(/^[0-9a-f]{32}$/);
    expect(other.digest("shop", SQL)).not.toBe(statements.digest("shop", SQL));
    expect(statements.digest("ops", SQL)).not.toBe(statements.digest("shop", SQL));
    expect(watchedGateway([], null).statements.digest("shop", SQL)).toBeNull();
  });
});

describe("what the supervisor hands over", () => {
  it("is empty in a deployment", () => {
    expect(parseHandover(undefined)).toEqual({ refused: [] });
  });

  it.each(["no JSON", "[]", '{"refused":[{"subject":1}]}', { refused: [] }])(
    "is refused in another form: %j",
    (text) => {
      expect(() => parseHandover(text)).toThrow("GATEHOUSE_SUPERVISOR is not what npm start sets");
    },
  );
});

// GATEHOUSE_DB does not answer for a while: calls go on, their records wait in the ledger, and all of them arrive once afterwards.
import { createExecutionContext, runInDurableObject, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { findBrokenLink } from "../support/broken-link.ts";
import sample from "../../sample/gatehouse.config.ts";
import { buildPost2026 } from "../support/mcp-requests.ts";
import { countSteps } from "../support/network-steps.ts";
import { seedShop } from "../support/seed.ts";
import { tokenOf } from "../support/worker.ts";

const HOUR_MS = 3_600_000;
const QUERY = { source: "shop", sql: "SELECT count(*) FROM customers" };
const store = openAuditRecordStore(env.GATEHOUSE_DB);
/** A ledger that is full after about fifty records. */
const MAX_AUDIT_BYTES = 100_000;

/** The clock of all ledgers is ahead, so that the platform does not run their alarms: the test does. */
const clock = { aheadMs: HOUR_MS };
const readClock = Date.now;
vi.spyOn(Date, "now").mockImplementation(() => readClock() + clock.aheadMs);

const lines: string[] = [];
beforeEach(() => {
  for (const level of ["warn", "error"] as const)
    vi.spyOn(console, level).mockImplementation((line) => void lines.push(`${level} ${String(line)}`));
});
afterEach(() => void lines.splice(0));

/** A Worker and its ledgers, whose GATEHOUSE_DB the test takes away. */
function createWorker(limits = {}) {
  const gatehouse = createGatehouse({ ...sample, limits: { ...sample.limits, ...limits } });
  const database = { isDown: false };
  const batches: number[] = [];
  const { env: counted } = countSteps(env, (name, [statements]) => {
    if (name === "GATEHOUSE_DB.batch" && Array.isArray(statements)) batches.push(statements.length);
    if (database.isDown && name.startsWith("GATEHOUSE_DB.")) throw new Error("D1_ERROR: Network connection lost.");
  });
  const ledgers = new WeakMap<DurableObjectState, InstanceType<typeof gatehouse.LedgerObject>>();
  const inLedger = async <T>(
    id: DurableObjectId,
    work: (ledger: InstanceType<typeof gatehouse.LedgerObject>) => Promise<T>,
  ): Promise<T> =>
    runInDurableObject(env.LEDGER.get(id), async (_object, state) => {
      const ledger = ledgers.get(state) ?? new gatehouse.LedgerObject(state, counted);
      ledgers.set(state, ledger);
      return work(ledger);
    });
  /** Stands in for the connections to ledgers, which are those of this Worker. */
  const openLedger = (id: DurableObjectId): object =>
    new Proxy(
      {},
      {
        get:
          (_target, name) =>
          async (...args: unknown[]) =>
            inLedger<unknown>(id, async (ledger) => Reflect.apply(Reflect.get(ledger, name), ledger, args)),
      },
    );
  const LEDGER = { idFromName: (name: string) => env.LEDGER.idFromName(name), get: openLedger };
  const workerEnv = Object.assign({}, counted, { LEDGER });
  return {
    database,
    /** The numbers of statements of the batches to GATEHOUSE_DB. */
    batches,
    async call(token: string, name = "query", args: object = QUERY): Promise<string> {
      const context = createExecutionContext();
      const request = buildPost2026(token, "tools/call", { name, arguments: args });
      const response = await gatehouse.handler.fetch(request, workerEnv, context);
      const text = await response.text();
      await waitOnExecutionContext(context);
      return text;
    },
    /** Runs what is due in the ledger of a user. */
    runAlarm: async (subjectId: string) => inLedger(env.LEDGER.idFromName(subjectId), async (ledger) => ledger.alarm()),
  };
}

const subjectOf = (token: string): string => token.split(":")[0] ?? "";
const warningsOf = (code: string): readonly string[] => lines.filter((line) => line.startsWith(`warn ${code}: `));
const pass = (seconds: number): void => void (clock.aheadMs += seconds * 1000);

/** Lists the stored records of a user, after checks that each is there once with its index entries. */
async function listStored(subjectId: string): Promise<readonly string[]> {
  const stored = await store.listChain(subjectId, 0, 1000);
  expect(findBrokenLink(stored)).toBeNull();
  const calls = stored.map(({ body }) => String(JSON.parse(body).attempt.call));
  expect(new Set(calls).size).toBe(calls.length);
  const terms = env.GATEHOUSE_DB.prepare("SELECT count(*) AS n FROM audit_term WHERE term = ?");
  expect(await terms.bind(`user ${subjectId}`).first("n")).toBe(calls.length);
  return stored.map(({ body }) => String(JSON.parse(body).attempt.operation));
}

beforeAll(seedShop);

describe("an outage of GATEHOUSE_DB", () => {
  it("does not stop calls, is reported once records have waited for a minute, and loses and doubles no record", async () => {
    const [token, worker] = [await tokenOf("analyst"), createWorker()];
    const subjectId = subjectOf(token);
    expect(await worker.call(token)).toContain('"rows":[[');
    pass(11);
    await worker.runAlarm(subjectId);
    const before = await listStored(subjectId);
    expect(before.at(-1)).toBe("query");

    worker.database.isDown = true;
    let calls = 0;
    for (; calls < 9; calls += 1) {
      expect(await worker.call(token)).toContain('"rows":[[');
      pass(5);
      await worker.runAlarm(subjectId);
    }
    expect(lines.filter((line) => line.includes("audit_delayed") || line.startsWith("error"))).toEqual([]);
    for (let times = 0; times < 10; times += 1) {
      pass(30);
      await worker.runAlarm(subjectId);
    }
    expect(await listStored(subjectId)).toEqual(before);
    expect(warningsOf("audit_delayed")).toEqual([expect.stringContaining(subjectId)]);
    expect(lines.filter((line) => line.startsWith("error ledger"))).toHaveLength(1);

    worker.database.isDown = false;
    // The longest time between two tries.
    pass(600);
    worker.batches.splice(0);
    await worker.runAlarm(subjectId);
    expect(worker.batches).toEqual([3]);
    expect(await listStored(subjectId)).toEqual([...before, ...Array.from({ length: calls }, () => "query")]);
  });

  it("refuses users whose roles no ledger has, and serves them once the database answers", async () => {
    const [token, worker] = [await tokenOf("support"), createWorker()];
    worker.database.isDown = true;
    expect(await worker.call(token)).toContain("source_unavailable");
    worker.database.isDown = false;
    expect(await worker.call(token)).toContain('"rows":[[');
  });

  it("warns at half of the ledger, refuses calls when it is full, and serves them after the records were sent", async () => {
    const [token, worker] = [await tokenOf("reviewer"), createWorker({ maxAuditBytes: MAX_AUDIT_BYTES })];
    const subjectId = subjectOf(token);
    await worker.call(token, "describe", {});
    pass(11);
    await worker.runAlarm(subjectId);
    const before = await listStored(subjectId);

    worker.database.isDown = true;
    let answer = "";
    const answered: string[] = [];
    while (answered.length < 200) {
      answer = await worker.call(token, "describe", { dataset: "shop.customers" });
      if (answer.includes("record_full")) break;
      expect(answer).toContain("shop.customers");
      answered.push("describe");
    }
    expect(answer).toContain("It empties by itself once the server's own database answers again");
    expect(warningsOf("ledger_half_full")).toEqual([
      expect.stringContaining(`limits.maxAuditBytes is ${MAX_AUDIT_BYTES}`),
    ]);
    expect(warningsOf("ledger_full")).toEqual([expect.stringContaining(subjectId)]);
    expect(answered.length).toBeGreaterThan(20);

    worker.database.isDown = false;
    pass(11);
    await worker.runAlarm(subjectId);
    expect(await worker.call(token, "describe", { dataset: "shop.customers" })).toContain("shop.customers");
    pass(11);
    await worker.runAlarm(subjectId);
    expect(await listStored(subjectId)).toEqual([...before, ...answered, "describe"]);
  });
});

// The exports of audit records over a real bucket: nothing is lost, changed or written twice, whatever fails and whenever a run dies.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { createArchive } from "../../../src/audit/archive/archive-bucket.ts";
import { runExport } from "../../../src/audit/archive/export-run.ts";
import type { ExportTarget } from "../../../src/audit/archive/export-run.ts";
import { openExportStore } from "../../../src/audit/archive/export-store.ts";
import { createPipeline } from "../../../src/audit/archive/pipeline-stream.ts";
import type { StreamRecord } from "../../../src/audit/archive/pipeline-stream.ts";
import { openAuditRecordStore } from "../../../src/audit/audit-record-store.ts";
import { EXPORT_FIELDS } from "../../../src/audit/export-fields.ts";
import { eraseFields } from "../../../src/audit/record-chain.ts";
import streamSchema from "../../../docs/audit-stream.json?raw";
import { storeChain } from "../stored-records.ts";

const records = openAuditRecordStore(env.GATEHOUSE_DB);
const store = openExportStore(env.GATEHOUSE_DB);
const bucket = env.TEST_AUDIT_BUCKET;
const DAY_MS = 86_400_000;
const FIRST_DAY_MS = Date.parse("2026-11-26T00:00:00Z");
const onDay = (day: number, hour = 0) => ({ endedMs: FIRST_DAY_MS + day * DAY_MS + hour * 3_600_000 });

beforeEach(async () => {
  for (const table of ["audit_record", "audit_term", "audit_export"])
    await env.GATEHOUSE_DB.prepare(`DELETE FROM ${table}`).run();
  for (;;) {
    const { objects } = await bucket.list();
    if (objects.length === 0) return;
    await bucket.delete(objects.map(({ key }) => key));
  }
});

interface Run {
  readonly errors: readonly unknown[];
  /** How many ids a warning said were missing, if there was one. */
  readonly behind: readonly number[];
}

async function run(target: ExportTarget = createArchive(bucket)): Promise<Run> {
  const errors: unknown[] = [];
  const behind: number[] = [];
  await runExport({
    store,
    target,
    onError: (error) => errors.push(error),
    onBehind: (count) => behind.push(count),
  });
  return { errors, behind };
}

/** Runs something before or after each put of the real bucket. */
function watchPuts(hooks: {
  readonly before?: () => Promise<void>;
  readonly after?: () => Promise<void>;
}): ExportTarget {
  return createArchive({
    head: async (key) => bucket.head(key),
    put: async (key, content, options) => {
      await hooks.before?.();
      await bucket.put(key, content, options);
      await hooks.after?.();
    },
  });
}

const fail = async (): Promise<void> => {
  throw new Error("the platform ended the Worker");
};

async function listKeys(): Promise<readonly string[]> {
  return (await bucket.list()).objects.map(({ key }) => key);
}

async function readEntries(key: string): Promise<readonly Record<string, unknown>[]> {
  const text = (await (await bucket.get(key))?.text()) ?? "";
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

/** Reads which records the archive has, over all objects. */
async function listArchived(): Promise<readonly unknown[]> {
  return (await Promise.all((await listKeys()).map(readEntries))).flat().map(({ id }) => id);
}

async function listStoredIds(): Promise<readonly string[]> {
  const { results } = await env.GATEHOUSE_DB.prepare(
    "SELECT ledger || '/' || seq AS id FROM audit_record AS r ORDER BY r.id",
  ).all<{ id: string }>();
  return results.map(({ id }) => id);
}

/** Stores many records by SQL: `body` is empty but for `padding` characters. */
async function storeMany(count: number, { padding = 0, days = 1, fromId = 1 } = {}): Promise<void> {
  await env.GATEHOUSE_DB.prepare(
    `INSERT INTO audit_record (id, ledger, seq, ended_ms, body, hash)
      WITH RECURSIVE n(n) AS (SELECT ?1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1 + ?2 - 1)
      SELECT n, 'many', n, ?3 + (n % ?4) * 86400000,
        json_object('attempt', json_object('asked', substr(hex(zeroblob(?5)), 1, ?5)),
          'ended', strftime('%Y-%m-%dT%H:%M:%fZ', ?3 / 1000 + (n % ?4) * 86400, 'unixepoch')), 'h' FROM n`,
  )
    .bind(fromId, count, FIRST_DAY_MS, days, padding)
    .run();
}

describe("the archive", () => {
  it("has one object for each day on which the calls ended, with the fields of the export and no salts or address", async () => {
    const ann = await storeChain(records, [onDay(0, 23), onDay(1), onDay(1, 5), onDay(2)]);
    const bob = await storeChain(records, [{ ...onDay(1, 2), attempt: { resource: "shop.customers" } }]);
    expect(await run()).toEqual({ errors: [], behind: [] });
    expect(await listKeys()).toEqual([
      "audit/day=2026-11-26/000000000001-000000000005.jsonl",
      "audit/day=2026-11-27/000000000001-000000000005.jsonl",
      "audit/day=2026-11-28/000000000001-000000000005.jsonl",
    ]);
    const entries = await readEntries("audit/day=2026-11-27/000000000001-000000000005.jsonl");
    expect(entries.map(({ id }) => id)).toEqual([`${ann}/2`, `${ann}/3`, `${bob}/1`]);
    expect(Object.keys(entries[2] ?? {})).toEqual(EXPORT_FIELDS);
    const [stored] = await records.listChain(bob, 0, 1);
    expect(entries[2]).toMatchObject({ ledger: bob, user: null, resource: "shop.customers", hash: stored?.hash });
  });

  it("sends each record once over several runs, also those that arrive while a run sends", async () => {
    await storeChain(records, [onDay(0), onDay(0)]);
    let arrivals = 3;
    const busy = watchPuts({
      before: async () => {
        if (arrivals-- > 0) await storeChain(records, [onDay(0)]);
      },
    });
    await run(busy);
    await storeChain(records, [onDay(1)]);
    await run();
    await run();
    expect(await listArchived()).toEqual(await listStoredIds());
    expect(await listKeys()).toHaveLength(5);
  });

  it("sends the same objects again, and replaces none, after a run that died between the put and the cursor", async () => {
    await storeChain(records, [onDay(0), onDay(1)]);
    expect((await run(watchPuts({ after: fail }))).errors).toHaveLength(1);
    const [first] = (await bucket.list()).objects;
    // Records that arrive between the runs do not change the part.
    await storeChain(records, [onDay(0)]);
    await run();
    expect(await listKeys()).toEqual([
      "audit/day=2026-11-26/000000000001-000000000002.jsonl",
      "audit/day=2026-11-26/000000000003-000000000003.jsonl",
      "audit/day=2026-11-27/000000000001-000000000002.jsonl",
    ]);
    expect((await bucket.head(first?.key ?? ""))?.version).toBe(first?.version);
    expect(new Set(await listArchived())).toEqual(new Set(await listStoredIds()));
    expect(await store.readProgress("archive")).toEqual({ exportedId: 3, plannedId: null });
  });

  it("keeps both versions of an object when a record was erased between a run that died and the next one", async () => {
    const ledger = await storeChain(records, [{ ...onDay(0), attempt: { asked: "SELECT 'Ada'" } }]);
    await run(watchPuts({ after: fail }));
    const [stored] = await records.listChain(ledger, 0, 1);
    const erased = eraseFields(stored?.body ?? "", JSON.parse(stored?.salts ?? ""), new Set(["attempt.asked"]));
    await env.GATEHOUSE_DB.prepare("UPDATE audit_record SET body = ?, salts = ?")
      .bind(erased.body, JSON.stringify(erased.salts))
      .run();
    await run(watchPuts({ after: fail }));
    expect(await run()).toEqual({ errors: [], behind: [] });
    const keys = await listKeys();
    expect(keys).toEqual([
      expect.stringMatching(/\/000000000001-000000000001-[0-9a-f]{16}\.jsonl$/),
      "audit/day=2026-11-26/000000000001-000000000001.jsonl",
    ]);
    expect((await readEntries(keys[0] ?? ""))[0]).toMatchObject({ arguments: null, hash: stored?.hash });
    expect((await readEntries(keys[1] ?? ""))[0]).toMatchObject({ arguments: "SELECT 'Ada'", hash: stored?.hash });
  });

  it("has null for a field that was erased before the record was archived", async () => {
    const ledger = await storeChain(records, [onDay(0)]);
    const [stored] = await records.listChain(ledger, 0, 1);
    const erased = eraseFields(stored?.body ?? "", JSON.parse(stored?.salts ?? ""), new Set(["attempt.asked"]));
    await env.GATEHOUSE_DB.prepare("UPDATE audit_record SET body = ?").bind(erased.body).run();
    await run();
    expect((await readEntries((await listKeys())[0] ?? ""))[0]).toMatchObject({ arguments: null, action: "query" });
  });

  it("loses nothing when a put fails, says how many records wait, and catches up", async () => {
    await storeChain(records, [onDay(0), onDay(1), onDay(2)]);
    let puts = 0;
    const flaky = watchPuts({
      before: async () => {
        puts += 1;
        if (puts === 2) await fail();
      },
    });
    const failed = await run(flaky);
    expect(failed.errors).toEqual([new Error("the platform ended the Worker")]);
    expect(failed.behind).toEqual([3]);
    expect(await store.readProgress("archive")).toEqual({ exportedId: 0, plannedId: 3 });
    await run();
    expect(await listArchived()).toEqual(await listStoredIds());
  });

  it("keeps the part that the first of two runs planned, and ignores the end of another part", async () => {
    await store.plan("archive", 0, 5);
    await store.plan("archive", 0, 9);
    await store.finish("archive", 9);
    expect(await store.readProgress("archive")).toEqual({ exportedId: 0, plannedId: 5 });
    await store.finish("archive", 5);
    await store.plan("archive", 0, 9);
    await store.finish("archive", 5);
    expect(await store.readProgress("archive")).toEqual({ exportedId: 5, plannedId: null });
  });

  it("has each record once when runs overlap", async () => {
    await storeChain(records, [onDay(0), onDay(0), onDay(1)]);
    const runs = await Promise.all([run(), run(), run()]);
    expect(runs.flatMap(({ errors }) => errors)).toEqual([]);
    await storeChain(records, [onDay(1)]);
    await run();
    expect(await listArchived()).toEqual(await listStoredIds());
    expect(await store.readProgress("archive")).toEqual({ exportedId: 4, plannedId: null });
  });

  it("has the records that arrive after all archived ones were deleted", async () => {
    await storeChain(records, [onDay(0), onDay(0), onDay(0)]);
    await run();
    await env.GATEHOUSE_DB.prepare("DELETE FROM audit_record").run();
    const ledger = await storeChain(records, [onDay(1), onDay(1)]);
    await run();
    expect(await listKeys()).toContain("audit/day=2026-11-27/000000000004-000000000005.jsonl");
    expect(await listArchived()).toEqual(expect.arrayContaining([`${ledger}/1`, `${ledger}/2`]));
    // Their terms still find them.
    expect(
      await records.findCall(JSON.parse((await records.listChain(ledger, 0, 1))[0]?.body ?? "").attempt.call),
    ).toMatchObject([{ ledger, seq: 1 }]);
  });

  it.each([
    ["5,000 records", { count: 5001 }, [5000, 1]],
    ["4 MB of records", { count: 600, padding: 10_000 }, [397, 203]],
    ["31 days", { count: 40, days: 40 }, [31, 9]],
  ])("sends at most %s at once", async (_limit, { count, ...options }, expected) => {
    await storeMany(count, options);
    const parts: number[] = [];
    await run({ name: "archive", send: async (_range, entries) => void parts.push(entries.length) });
    expect(parts).toEqual(expected);
  });

  it("ends a run after 20 parts, says how far it is behind, and goes on in the next one", async () => {
    await storeMany(20 * 31 + 5, { days: 20 * 31 + 5 });
    await storeMany(1, { fromId: 20_000 });
    let sent = 0;
    const target: ExportTarget = { name: "archive", send: async (_range, entries) => void (sent += entries.length) };
    expect(await run(target)).toEqual({ errors: [], behind: [20_000 - 20 * 31] });
    expect(sent).toBe(20 * 31);
    expect(await run(target)).toEqual({ errors: [], behind: [] });
    expect(sent).toBe(20 * 31 + 6);
  });

  it("has a record whose stored text is no JSON, so that it holds up no other", async () => {
    const ledger = await storeChain(records, [onDay(0), onDay(0)]);
    await env.GATEHOUSE_DB.prepare("UPDATE audit_record SET body = 'x' WHERE seq = 1").run();
    await run();
    const entries = (await Promise.all((await listKeys()).map(readEntries))).flat();
    expect(entries).toEqual([
      expect.objectContaining({ id: `${ledger}/1`, outcome: "unreadable" }),
      expect.objectContaining({ id: `${ledger}/2`, outcome: "answered" }),
    ]);
  });
});

describe("the export to a pipeline", () => {
  /** A stand-in for the platform's stream, which is outside of the Worker. */
  function createStream(accept: (batch: readonly StreamRecord[]) => void = () => {}) {
    const batches: StreamRecord[][] = [];
    const send = async (batch: StreamRecord[]): Promise<void> => {
      accept(batch);
      batches.push(batch);
    };
    return { batches, target: createPipeline({ send }) };
  }

  it("sends flat records that fit the documented schema, beside the archive and with a cursor of its own", async () => {
    await storeChain(records, [{ ...onDay(0), outcome: { columns: ["shop.customers.email"] } }]);
    await run();
    const { batches, target } = createStream();
    await run(target);
    await run(target);
    expect(batches).toHaveLength(1);
    const [record = {}] = batches.flat();
    expect(record).toMatchObject({ columns: '["shop.customers.email"]', datasets: '["shop.orders"]', rows: 3 });
    expect(record).not.toHaveProperty("user");
    const { fields }: { fields: { name: string; type: string; required: boolean }[] } = JSON.parse(streamSchema);
    expect(fields.map(({ name }) => name)).toEqual(EXPORT_FIELDS);
    const types: Record<string, string> = { string: "string", number: "int64", boolean: "bool" };
    for (const { name, type, required } of fields) {
      const value = record[name];
      expect([name, value === undefined ? !required : types[typeof value] === type]).toEqual([name, true]);
    }
  });

  it("sends less than a megabyte at once", async () => {
    await storeMany(300, { padding: 10_000 });
    const { batches, target } = createStream();
    await run(target);
    expect(batches.flat()).toHaveLength(300);
    for (const batch of batches) expect(JSON.stringify(batch).length).toBeLessThan(1_000_000);
    expect(batches.length).toBeLessThan(5);
  });

  it("sends a part again when the stream failed within it", async () => {
    await storeMany(200, { padding: 10_000 });
    let calls = 0;
    const { batches, target } = createStream(() => {
      calls += 1;
      if (calls === 2) throw new Error("stream unavailable");
    });
    expect((await run(target)).behind).toEqual([200]);
    await run(target);
    expect(new Set(batches.flat().map(({ id }) => id)).size).toBe(200);
    expect(await store.readProgress("pipeline")).toEqual({ exportedId: 200, plannedId: null });
  });
});

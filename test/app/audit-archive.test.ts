// The exports of audit records in the upkeep of the whole Worker: only where a bucket or a stream is bound.
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import sample from "../../sample/gatehouse.config.ts";
import { exportAuditRecords, readExportedId } from "../../src/app/audit-archive.ts";
import { createGatehouse } from "../../src/app/create-gatehouse.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import { storeChain } from "../audit/stored-records.ts";

const records = openAuditRecordStore(env.GATEHOUSE_DB);
const withArchive = { ...env, GATEHOUSE_ARCHIVE: env.TEST_AUDIT_BUCKET };

const runUpkeep = async (bindings: typeof env): Promise<void> =>
  createGatehouse(sample).handler.scheduled({ scheduledTime: 0, cron: "*", noRetry: () => {} }, bindings);
const countExports = async (): Promise<unknown> =>
  env.GATEHOUSE_DB.prepare("SELECT count(*) AS n FROM audit_export").first("n");

const lines: string[] = [];
beforeEach(async () => {
  await env.GATEHOUSE_DB.prepare("DELETE FROM audit_export").run();
  lines.length = 0;
  for (const level of ["warn", "error"] as const)
    vi.spyOn(console, level).mockImplementation((...parts) => void lines.push(parts.map(String).join(" ")));
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("the upkeep", () => {
  it("exports nothing and stores nothing when neither a bucket nor a stream is bound", async () => {
    await storeChain(records, [{}]);
    await runUpkeep(env);
    expect(await countExports()).toBe(0);
    expect(await readExportedId(env)).toBeNull();
    expect(lines.join("\n")).not.toContain("audit_export");
  });

  it("archives the records to a bound bucket, and says up to which one", async () => {
    await storeChain(records, [{}, {}]);
    expect(await readExportedId(withArchive)).toBe(0);
    await runUpkeep(withArchive);
    const newest = await env.GATEHOUSE_DB.prepare("SELECT max(id) AS id FROM audit_record").first("id");
    expect(await readExportedId(withArchive)).toBe(newest);
    expect((await env.TEST_AUDIT_BUCKET.list({ prefix: "audit/day=2026-11-27/" })).objects).not.toEqual([]);
  });

  it("sends to a stream although the bucket fails, and logs how far the archive is behind", async () => {
    await storeChain(records, [{}]);
    const sent: unknown[] = [];
    const put = async (): Promise<never> => {
      throw new Error("bucket unavailable");
    };
    await runUpkeep(
      Object.assign({}, env, {
        GATEHOUSE_ARCHIVE: { head: async () => null, put },
        GATEHOUSE_PIPELINE: { send: async (batch: readonly unknown[]) => void sent.push(...batch) },
      }),
    );
    expect(sent.length).toBeGreaterThan(0);
    expect(lines.join("\n")).toContain("audit archive");
    expect(lines.join("\n")).toContain("bucket unavailable");
    expect(lines.join("\n")).toMatch(/audit_export_behind: the archive lacks up to \d+ audit records?;/);
    expect(lines.join("\n")).not.toContain("the pipeline lacks");
  });

  it.each([
    ["GATEHOUSE_ARCHIVE", /GATEHOUSE_ARCHIVE is no R2 bucket/],
    ["GATEHOUSE_PIPELINE", /GATEHOUSE_PIPELINE is no stream/],
  ])("names %s when it is a binding of another kind", async (name, message) => {
    await expect(exportAuditRecords({ ...env, [name]: env.GATEHOUSE_DB })).rejects.toThrow(message);
  });
});

// Sends the records of a ledger to GATEHOUSE_DB without waiting for its ten seconds.
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect } from "vitest";
import { ledgerOf } from "../support/members.ts";

/** Resolves when all records that the ledger has now are stored. The ledger's own alarm may be running at the same time. */
export async function flushLedger(name: string): Promise<void> {
  const ledger = ledgerOf(name);
  const last = (await ledger.listRecords(0, 1000)).at(-1)?.seq ?? 0;
  const sendAndCount = async (): Promise<number> => {
    await runInDurableObject(
      ledger,
      async (_object, { storage }) => void storage.sql.exec("UPDATE due_task SET due_ms = 1 WHERE task = 'flush'"),
    );
    await runDurableObjectAlarm(ledger);
    const stored = await env.GATEHOUSE_DB.prepare("SELECT max(seq) AS seq FROM audit_record WHERE ledger = ?")
      .bind(name)
      .first<{ seq: number | null }>();
    return stored?.seq ?? 0;
  };
  await expect.poll(sendAndCount, { timeout: 15_000 }).toBeGreaterThanOrEqual(last);
}

// Single-use handles as the ledger keeps them: bound, spent once, forgotten in time, and not without limit.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, it } from "vitest";
import { createHandleTable } from "../../src/ledger/handles.ts";
import type { HandleTable } from "../../src/ledger/handles.ts";

const NOW = 1_700_000_000_000;
const TTL_SECONDS = 600;
const END = NOW + TTL_SECONDS * 1000;

const opened = (handle: string, call?: string) => ({
  handle,
  call,
  binding: "b",
  state: `"${handle}"`,
  ttlSeconds: TTL_SECONDS,
});

/** Runs over the handles of a subject that nobody else uses. */
async function withHandles(work: (handles: HandleTable) => void): Promise<void> {
  const ledger = env.LEDGER.get(env.LEDGER.newUniqueId());
  await runInDurableObject(ledger, (_instance, { storage }) => work(createHandleTable(storage.sql)));
}

it("is spent once, and then tells its outcome, the first that was kept", () =>
  withHandles((handles) => {
    handles.open(opened("h"), NOW);
    handles.settle("h", "too early");
    expect(handles.spend("h", "b", NOW)).toEqual({ kind: "fresh", state: '"h"' });
    expect(handles.spend("h", "b", NOW)).toEqual({ kind: "spent", outcome: null });
    handles.settle("h", "one");
    handles.settle("h", "two");
    expect(handles.spend("h", "b", NOW)).toEqual({ kind: "spent", outcome: "one" });
  }));

it("does not exist for another binding, when it expired, or when it never was", () =>
  withHandles((handles) => {
    handles.open(opened("h"), NOW);
    expect(handles.spend("h", "other", NOW)).toEqual({ kind: "unknown" });
    expect(handles.spend("h", "b", END)).toEqual({ kind: "unknown" });
    expect(handles.spend("never", "b", NOW)).toEqual({ kind: "unknown" });
    expect(handles.spend("h", "b", END - 1)).toMatchObject({ kind: "fresh" });
  }));

it("a call that is entered again gets the handle it had", () =>
  withHandles((handles) => {
    expect(handles.open(opened("h", "call 1"), NOW)).toBe("h");
    expect(handles.open(opened("other", "call 1"), NOW)).toBe("h");
    expect(handles.open(opened("next", "call 2"), NOW)).toBe("next");
    expect(handles.open(opened("free"), NOW)).toBe("free");
    expect(handles.open(opened("free too"), NOW)).toBe("free too");
  }));

it("there are so many at once, until they expire", () =>
  withHandles((handles) => {
    const names = Array.from({ length: 200 }, (_value, index) => `h${index}`);
    for (const name of names) expect(handles.open(opened(name), NOW)).toBe(name);
    expect(handles.open(opened("one more"), END - 1)).toBeUndefined();
    expect(handles.open(opened("one more"), END)).toBe("one more");
  }));

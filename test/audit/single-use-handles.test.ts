// Single-use handles in the ledger: bound, spent once, deleted after they have expired, and limited in number.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, expect, it } from "vitest";
import { createHandleTable } from "../../src/audit/single-use-handles.ts";
import type { HandleTable } from "../../src/audit/single-use-handles.ts";

const NOW = 1_700_000_000_000;
const TTL_SECONDS = 600;
const END = NOW + TTL_SECONDS * 1000;

const newHandle = (handle: string, call?: string) => ({
  handle,
  call,
  binding: "b",
  state: `"${handle}"`,
  ttlSeconds: TTL_SECONDS,
});

/** Runs over the handles of a new subject. */
async function withHandles(work: (handles: HandleTable) => void): Promise<void> {
  const ledger = env.LEDGER.get(env.LEDGER.newUniqueId());
  await runInDurableObject(ledger, (_instance, { storage }) => work(createHandleTable(storage.sql)));
}

describe("a single-use handle", () => {
  it("is spent once, and then returns the first outcome that was stored", () =>
    withHandles((handles) => {
      handles.open(newHandle("h"), NOW);
      handles.recordOutcome("h", "too early");
      expect(handles.spend("h", "b", NOW)).toEqual({ kind: "fresh", state: '"h"' });
      expect(handles.spend("h", "b", NOW)).toEqual({ kind: "spent", state: '"h"', outcome: null });
      handles.recordOutcome("h", "one");
      handles.recordOutcome("h", "two");
      expect(handles.spend("h", "b", NOW)).toEqual({ kind: "spent", state: '"h"', outcome: "one" });
    }));

  it("is unknown for another binding, after it expired, and when it was never opened", () =>
    withHandles((handles) => {
      handles.open(newHandle("h"), NOW);
      expect(handles.spend("h", "other", NOW)).toEqual({ kind: "unknown" });
      expect(handles.spend("h", "b", END)).toEqual({ kind: "unknown" });
      expect(handles.spend("never", "b", NOW)).toEqual({ kind: "unknown" });
      expect(handles.spend("h", "b", END - 1)).toMatchObject({ kind: "fresh" });
    }));

  it("is returned again when the same call opens another one", () =>
    withHandles((handles) => {
      expect(handles.open(newHandle("h", "call 1"), NOW)).toBe("h");
      expect(handles.open(newHandle("other", "call 1"), NOW)).toBe("h");
      expect(handles.open(newHandle("next", "call 2"), NOW)).toBe("next");
      expect(handles.open(newHandle("free"), NOW)).toBe("free");
      expect(handles.open(newHandle("free too"), NOW)).toBe("free too");
    }));

  it("cannot be opened when a subject has 200 unexpired handles", () =>
    withHandles((handles) => {
      const names = Array.from({ length: 200 }, (_value, index) => `h${index}`);
      for (const name of names) expect(handles.open(newHandle(name), NOW)).toBe(name);
      expect(handles.open(newHandle("one more"), END - 1)).toBeUndefined();
      expect(handles.open(newHandle("one more"), END)).toBe("one more");
    }));

  it("is found by its call for a day after it has expired, so that a call which runs again does not ask anew", () =>
    withHandles((handles) => {
      handles.open(newHandle("h", "call 1"), NOW);
      handles.open(newHandle("free"), NOW);
      expect(handles.find("call 1")).toEqual({ handle: "h", state: '"h"', isSpent: false });
      handles.spend("h", "b", NOW);
      expect(handles.find("call 1")).toMatchObject({ isSpent: true });
      expect(handles.find("call 2")).toBeUndefined();
      expect(handles.deleteOld(NOW)).toBe(END);
      expect(handles.deleteOld(END)).toBe(END + 86_400_000);
      expect(handles.spend("free", "b", NOW)).toEqual({ kind: "unknown" });
      expect(handles.open(newHandle("other", "call 1"), END)).toBe("h");
      expect(handles.deleteOld(END + 86_400_000)).toBeUndefined();
      expect(handles.find("call 1")).toBeUndefined();
    }));
});

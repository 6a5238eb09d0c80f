// Grants that have ended, in the ledger: no call begins with one, also when it ended while the call waited.
import { env } from "cloudflare:workers";
import { afterEach, describe, expect, it, vi } from "vitest";
import { newId } from "../../src/lib/ids.ts";

const GRANT = { grantId: "g", tokenHash: "h1" };
const OTHER_TOKEN = { grantId: "g", tokenHash: "h2" };
const ENDED = { ok: false, reason: "grant_ended" };

/** A new ledger, and how to begin a call in it. */
function openLedger() {
  const subjectId = newId();
  const ledger = env.LEDGER.get(env.LEDGER.idFromName(subjectId));
  const begin = async (grant: typeof GRANT | undefined, lockedSource: string | null = null, call = newId()) =>
    ledger.begin(
      { call, subjectId, owner: null, clientId: "c", operation: "query", asked: "" },
      { subjectId, email: "analyst@harbor.example", groups: [] },
      1,
      lockedSource,
      "call",
      { grant },
    );
  return { ledger, begin };
}

afterEach(() => vi.useRealTimers());

describe("a grant that has ended", () => {
  it("begins no call, with any of its access tokens", async () => {
    const { ledger, begin } = openLedger();
    expect(await begin(GRANT)).toMatchObject({ ok: true });
    await ledger.endAccess({ grantId: "g" });
    expect(await begin(GRANT)).toEqual(ENDED);
    expect(await begin(OTHER_TOKEN)).toEqual(ENDED);
    expect(await begin({ grantId: "another", tokenHash: "h1" })).toMatchObject({ ok: true });
    // A personal access token, or a page of the server.
    expect(await begin(undefined)).toMatchObject({ ok: true });
  });

  it("begins no call that waited for its query lock, and leaves the lock to the next call", async () => {
    const { ledger, begin } = openLedger();
    const first = newId();
    expect(await begin(GRANT, "shop", first)).toMatchObject({ ok: true });
    const waiting = begin(GRANT, "shop");
    const next = begin({ grantId: "another", tokenHash: "h1" }, "shop");
    await ledger.endAccess({ grantId: "g" });
    await ledger.release(first);
    expect(await waiting).toEqual(ENDED);
    expect(await next).toMatchObject({ ok: true });
  });

  it("is remembered for an hour after its end was last written", async () => {
    const { ledger, begin } = openLedger();
    await ledger.endAccess({ grantId: "g" });
    vi.setSystemTime(Date.now() + 1_800_000);
    await ledger.endAccess({ grantId: "g" });
    vi.setSystemTime(Date.now() + 3_599_000);
    expect(await begin(GRANT)).toEqual(ENDED);
    vi.setSystemTime(Date.now() + 2000);
    expect(await begin(GRANT)).toMatchObject({ ok: true });
  });
});

describe("an access token that has ended alone", () => {
  it("begins no call, and the other access tokens of its grant do", async () => {
    const { ledger, begin } = openLedger();
    await ledger.endAccess(GRANT);
    expect(await begin(GRANT)).toEqual(ENDED);
    expect(await begin(OTHER_TOKEN)).toMatchObject({ ok: true });
  });
});

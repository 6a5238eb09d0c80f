// The proof that no record is missing at the end of a chain: signed answers of ledgers and the signed daily list.
import { env } from "cloudflare:workers";
import { beforeEach, describe, expect, it } from "vitest";
import { openAuditHeadStore } from "../../src/audit/audit-head-store.ts";
import { openAuditRecordStore } from "../../src/audit/audit-record-store.ts";
import {
  digestHeads,
  formatHead,
  formatList,
  openSigningKey,
  verifySignature,
} from "../../src/audit/head-signature.ts";
import type { SigningKey } from "../../src/audit/head-signature.ts";
import { SEND_AGAIN, answerHeadRequests, makeDailyList } from "../../src/audit/ledger-heads.ts";
import type { HeadDependencies } from "../../src/audit/ledger-heads.ts";
import { OPERATOR_LEDGER } from "../../src/audit/operator-ledger.ts";
import { newId } from "../../src/lib/ids.ts";

const SECRET = "a secret of tests with 32 characters";
const store = openAuditHeadStore(env.GATEHOUSE_DB);
const records = openAuditRecordStore(env.GATEHOUSE_DB);
const NOON = Date.parse("2026-11-28T12:00:00Z");

async function openKey(secret = SECRET): Promise<SigningKey> {
  const key = await openSigningKey(secret);
  if (key === null) throw new TypeError("the secret of the test is empty");
  return key;
}

/** Ledgers whose heads the test chooses. */
const headsByLedger = new Map<string, { seq: number; hash: string }>();
let readCount = 0;
let sentAgain: [string, number][] = [];

async function build(overrides: Partial<HeadDependencies> = {}): Promise<HeadDependencies> {
  return {
    store,
    key: await openKey(),
    readHead: async (ledger) => {
      readCount += 1;
      return headsByLedger.get(ledger) ?? { seq: 0, hash: "0".repeat(64) };
    },
    sendAgain: async (ledger, afterSeq) => void sentAgain.push([ledger, afterSeq]),
    now: () => NOON,
    onError: () => {},
    ...overrides,
  };
}

async function addLedger(seq: number): Promise<string> {
  const ledger = newId();
  headsByLedger.set(ledger, { seq, hash: seq.toString(16).padStart(64, "0") });
  await records.append(ledger, [{ seq: 1, body: "{}", salts: "[]", hash: "h", endedMs: NOON, terms: [] }]);
  return ledger;
}

beforeEach(async () => {
  [readCount, sentAgain] = [0, []];
  const tables = ["audit_list", "audit_list_head", "audit_head_request", "audit_record", "audit_checkpoint"];
  await env.GATEHOUSE_DB.batch(tables.map((table) => env.GATEHOUSE_DB.prepare(`DELETE FROM ${table}`)));
});

describe("the signing key", () => {
  it("is the same for the same secret, and verifies its own signatures alone", async () => {
    const [key, same, other] = [
      await openKey(),
      await openKey(),
      await openKey("another secret of tests, long enough"),
    ];
    expect(same.publicKey).toBe(key.publicKey);
    const signature = await key.sign("text");
    expect(await verifySignature(key.publicKey, "text", signature)).toBe(true);
    expect(await verifySignature(key.publicKey, "Text", signature)).toBe(false);
    expect(await verifySignature(other.publicKey, "text", signature)).toBe(false);
  });

  it("does not accept what is no signature or no key", async () => {
    const key = await openKey();
    expect(await verifySignature(key.publicKey, "text", "§")).toBe(false);
    expect(await verifySignature("no key", "text", await key.sign("text"))).toBe(false);
  });

  it("is absent without a secret, and a short secret is refused", async () => {
    expect(await openSigningKey(undefined)).toBeNull();
    await expect(openSigningKey("short")).rejects.toThrow(/GATEHOUSE_AUDIT_KEY is too short/);
  });
});

describe("requests for heads", () => {
  it("are answered by the ledger, with a signature that holds only for their nonce", async () => {
    const ledger = await addLedger(7);
    await store.request("n1", [ledger], NOON);
    expect(await store.listAnswers("n1")).toEqual([]);
    const dependencies = await build();
    await answerHeadRequests(dependencies);
    const [head] = await store.listAnswers("n1");
    if (head === undefined) throw new TypeError("there is no answer");
    expect(head).toMatchObject({ ledger, seq: 7 });
    const { publicKey } = dependencies.key;
    expect(await verifySignature(publicKey, formatHead("n1", head), head.signature)).toBe(true);
    expect(await verifySignature(publicKey, formatHead("n2", head), head.signature)).toBe(false);
    expect(await verifySignature(publicKey, formatHead("n1", { ...head, seq: 6 }), head.signature)).toBe(false);
  });

  it("are all answered when there are more than one batch, and deleted after an hour", async () => {
    await store.request(
      "n1",
      Array.from({ length: 120 }, () => newId()),
      NOON,
    );
    await answerHeadRequests(await build());
    expect(await store.listAnswers("n1")).toHaveLength(120);
    await store.request("n2", [newId()], NOON + 3_700_000);
    expect(await store.listAnswers("n1")).toEqual([]);
  });
});

describe("a ledger whose end is not stored", () => {
  it("sends it again when it is asked to, from the last record that is stored or was removed", async () => {
    const [cut, whole, emptied] = [await addLedger(7), await addLedger(1), newId()];
    headsByLedger.set(emptied, { seq: 4, hash: "h" });
    await env.GATEHOUSE_DB.prepare(
      "INSERT INTO audit_checkpoint (ledger, seq, hash, until_ms, made_ms, signature, key) VALUES (?, 2, 'h', 1, 1, 's', 'k')",
    )
      .bind(emptied)
      .run();
    await store.request("n1", [cut, whole, emptied], NOON);
    await answerHeadRequests(await build());
    // The verification that asked must still find them missing.
    expect(sentAgain).toEqual([]);
    await store.request(`${SEND_AGAIN}n2`, [cut, whole, emptied], NOON);
    await answerHeadRequests(await build());
    expect(await store.listAnswers(`${SEND_AGAIN}n2`)).toHaveLength(3);
    expect(new Map(sentAgain)).toEqual(
      new Map([
        [cut, 1],
        [emptied, 2],
      ]),
    );
    sentAgain = [];
    await makeDailyList(await build());
    expect(sentAgain).toHaveLength(2);
  });
});

describe("a request that someone else put into the database", () => {
  it("gets no answer that holds for another ledger", async () => {
    const ledger = await addLedger(7);
    const hash = headsByLedger.get(ledger)?.hash ?? "";
    await store.request(`n1\n${ledger}\n0\nx`, [newId()], NOON);
    const dependencies = await build();
    await answerHeadRequests(dependencies);
    const { results } = await env.GATEHOUSE_DB.prepare("SELECT signature FROM audit_head_request").all();
    for (const { signature } of results)
      for (const head of [
        { ledger, seq: 0, hash: "x" },
        { ledger, seq: 7, hash },
      ])
        expect(await verifySignature(dependencies.key.publicKey, formatHead("n1", head), String(signature))).toBe(
          false,
        );
  });

  it("stops no other request when its ledger cannot be asked", async () => {
    const ledger = await addLedger(7);
    await store.request("n1", ["broken"], NOON);
    await store.request("n2", [ledger], NOON);
    const errors: unknown[] = [];
    const dependencies = await build({ onError: (error) => errors.push(error) });
    const readHead = async (name: string) =>
      name === "broken" ? Promise.reject(new Error("no such ledger")) : dependencies.readHead(name);
    await answerHeadRequests({ ...dependencies, readHead });
    expect(await store.listAnswers("n2")).toHaveLength(1);
    expect(await store.listAnswers("n1")).toEqual([]);
    expect(errors).toHaveLength(1);
  });
});

describe("the daily list", () => {
  it("lists the heads of all ledgers and of the operator's once a day, signed", async () => {
    const ledgers = [await addLedger(3), await addLedger(5), OPERATOR_LEDGER].toSorted();
    const dependencies = await build();
    await makeDailyList(dependencies);
    const list = await store.findNewestList();
    if (list === null) throw new TypeError("there is no list");
    expect(list).toMatchObject({ day: "2026-11-27", madeMs: NOON, ledgers: 3, records: 8 });
    const heads = await store.listHeads(list.day);
    expect(heads.map(({ ledger }) => ledger)).toEqual(ledgers);
    expect(list.digest).toBe(await digestHeads(heads));
    expect(await verifySignature(dependencies.key.publicKey, formatList(list), list.signature)).toBe(true);
    await makeDailyList(dependencies);
    expect(readCount).toBe(3);
  });

  it("signs what the ledgers say, and not what was put into the database before", async () => {
    const [ledger, emptied] = [await addLedger(3), await addLedger(5)];
    const forged = { day: "2026-11-27", madeMs: NOON, ledgers: 1, records: 1, digest: "d", signature: "s", key: "k" };
    await store.replaceList(forged, [{ ledger, seq: 1, hash: "forged" }]);
    await store.replaceList({ ...forged, day: "zzzz" }, [{ ledger: emptied, seq: 1, hash: "forged" }]);
    await env.GATEHOUSE_DB.prepare("DELETE FROM audit_record WHERE ledger = ?").bind(emptied).run();
    const dependencies = await build();
    await makeDailyList(dependencies);
    const list = await store.findList("2026-11-27");
    if (list === null) throw new TypeError("there is no list");
    expect(list).toMatchObject({ ledgers: 3, records: 8 });
    expect((await store.listHeads(list.day)).map(({ seq }) => seq)).toEqual(expect.arrayContaining([3, 5]));
    expect(await verifySignature(dependencies.key.publicKey, formatList(list), list.signature)).toBe(true);
  });

  it("is not made when a ledger does not answer, and by the next run", async () => {
    await addLedger(3);
    const down = async (): Promise<never> => Promise.reject(new Error("down"));
    await expect(makeDailyList(await build({ readHead: down }))).rejects.toThrow("down");
    expect(await store.findList("2026-11-27")).toBeNull();
    await makeDailyList(await build());
    expect(await store.findList("2026-11-27")).toMatchObject({ ledgers: 2 });
  });

  it("has the operator's ledger alone before the first record", async () => {
    await makeDailyList(await build());
    expect(await store.findNewestList()).toMatchObject({ ledgers: 1, records: 0 });
  });
});

describe("LedgerObject", () => {
  it("says that it has sent nothing at first", async () => {
    const ledger = env.LEDGER.get(env.LEDGER.idFromName(newId()));
    expect(await ledger.readSentHead()).toEqual({ seq: 0, hash: "0".repeat(64) });
  });
});

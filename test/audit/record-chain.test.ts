// The hash of a record: its fields can be erased, and nothing else can change without showing.
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  GENESIS,
  createSalts,
  eraseFields,
  followChain,
  listErasedPaths,
  hashRecord,
} from "../../src/audit/record-chain.ts";
import type { LedgerRecord } from "../../src/audit/audit-record.ts";
import { listTerms, readEntry } from "../../src/audit/record-entry.ts";

const BODY = JSON.stringify({
  attempt: { call: "c", subjectId: "s", asked: "SELECT ?" },
  outcome: { result: "answered", rows: 5000 },
  began: "2026-11-28T12:00:00.000Z",
  ended: "2026-11-28T12:00:01.000Z",
});
const salts = createSalts(BODY, (count) => randomBytes(count));
const hash = hashRecord(GENESIS, BODY, salts);

function follow(body: string, newSalts: readonly string[] = salts): ReturnType<typeof followChain> {
  const record: LedgerRecord = { seq: 1, body, salts: JSON.stringify(newSalts), hash };
  return followChain(GENESIS, record);
}

describe("a record", () => {
  it("fits its own hash", () => {
    expect(follow(BODY)).toEqual({ seq: 1, hash });
  });

  it("fits its hash after fields were erased, which shows", () => {
    const erased = eraseFields(BODY, salts, new Set(["attempt.asked"]));
    expect(follow(erased.body, erased.salts)).toEqual({ seq: 1, hash });
    expect(erased.body).not.toContain("SELECT");
    expect(erased.salts.filter((salt) => salts.includes(salt))).toHaveLength(salts.length - 1);
    expect(listErasedPaths({ body: erased.body, salts: JSON.stringify(erased.salts) })).toEqual(["attempt.asked"]);
  });

  it("is not found by its keys after they were erased, and still fits its hash", () => {
    const keys = { "shop.customers": { values: ["4711"], complete: false } };
    const body = JSON.stringify({ ...JSON.parse(BODY), outcome: { result: "answered", keys } });
    const keySalts = createSalts(body, (count) => randomBytes(count));
    const keyHash = hashRecord(GENESIS, body, keySalts);
    const listKeyTerms = (text: string): readonly string[] =>
      listTerms(readEntry("s", { seq: 1, body: text, hash: keyHash })).filter((term) => term.startsWith("key "));
    expect(listKeyTerms(body)).toEqual(["key shop.customers/4711", "key shop.customers ?"]);
    const erased = eraseFields(body, keySalts, new Set(["outcome.keys"]));
    expect(hashRecord(GENESIS, erased.body, erased.salts)).toBe(keyHash);
    expect(erased.body).not.toContain("4711");
    expect(listKeyTerms(erased.body)).toEqual([]);
  });

  it("does not fit when an erased field gets another value", () => {
    const erased = eraseFields(BODY, salts, new Set(["outcome.rows"]));
    const forged = erased.body.replace('"rows":null', '"rows":1');
    expect(forged).not.toBe(erased.body);
    expect(follow(forged, erased.salts)).toBe("unreadable");
  });

  it.each([
    ["a changed value", BODY.replace("5000", "1"), "hash"],
    [
      "a group that was flattened",
      BODY.replace('"outcome":{"result":"answered","rows":5000}', '"outcome.result":"answered","outcome.rows":5000'),
      "unreadable",
    ],
    ["a value that is there twice", BODY.replace('"asked":"SELECT ?"', '"asked":"x","asked":"SELECT ?"'), "unreadable"],
    ["spaces", BODY.replace(":", ": "), "unreadable"],
    ["another field", BODY.replace('{"attempt"', '{"approved":true,"attempt"'), "unreadable"],
    ["fields in another order", BODY.replace('"call":"c","subjectId":"s"', '"subjectId":"s","call":"c"'), "hash"],
    ["no JSON", "{", "unreadable"],
  ])("does not fit with %s", (_what, body, problem) => {
    expect(body).not.toBe(BODY);
    expect(follow(body)).toBe(problem);
  });

  it("does not fit in another place", () => {
    const record = { seq: 2, body: BODY, salts: JSON.stringify(salts), hash };
    expect(followChain({ seq: 1, hash: GENESIS.hash }, record)).toBe("hash");
    expect(followChain(GENESIS, record)).toBe("gap");
  });
});

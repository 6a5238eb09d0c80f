// Columns of Unix times are recognised by their name and by all their values.
import { afterAll, beforeAll, expect, it } from "vitest";
import { guessTables } from "../../cli/introspection/guess.ts";
import { readDatabase } from "../../cli/introspection/schema.ts";
import { openLocalD1 } from "./local-d1.ts";
import type { LocalD1 } from "./local-d1.ts";

let d1: LocalD1;
beforeAll(async () => void (d1 = await openLocalD1()));
afterAll(async () => d1.dispose());

const SECOND = 1_767_225_600;
const lastIs = (value: string, last = value): string => `(SELECT CASE WHEN i < 300 THEN ${value} ELSE ${last} END)`;

it.each([
  ["created_at INTEGER", `${SECOND} + i`, undefined, "Unix time in seconds: datetime(created_at, 'unixepoch')"],
  ["createdAt", `${SECOND}000 + i`, undefined, "Unix time in milliseconds: datetime(createdAt / 1000, 'unixepoch')"],
  ["event_ts REAL", `${SECOND}.25 + i`, undefined, "Unix time in seconds: datetime(event_ts, 'unixepoch')"],
  ['"start-time" INTEGER', `${SECOND}`, undefined, `Unix time in seconds: datetime("start-time", 'unixepoch')`],
  ["logged TIMESTAMP", `${SECOND}`, "NULL", "Unix time in seconds: datetime(logged, 'unixepoch')"],
  ["created_at INTEGER", `${SECOND}`, "5", undefined],
  ["created_at", `${SECOND}`, "'soon'", undefined],
  ["created_at INTEGER", `${SECOND}`, `${SECOND}000`, undefined],
  ["created_at TEXT", "'2026-01-02'", undefined, undefined],
  ["created_at INTEGER", "NULL", undefined, undefined],
  ["amount INTEGER", `${SECOND}`, undefined, undefined],
  ["duration_time INTEGER", "i", undefined, undefined],
])("describes the column %s of the values %s, and last %s, as: %s", async (column, value, last, description) => {
  const { target } = await d1.loadSql(`CREATE TABLE t (${column});
    INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
      SELECT ${lastIs(value, last)} FROM n`);
  const { tables } = await readDatabase(target);
  expect(Object.values(guessTables(tables)["t"]?.columns ?? {}).map((guessed) => guessed.description)).toEqual([
    description,
  ]);
});

// Tests `gatehouse audit` beside a running server: records arrive by themselves, are found, shown and exported, and forgeries are named.
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { hostname, userInfo } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { createSalts, hashRecord } from "../../src/audit/record-chain.ts";
import { digestHeads, formatList, openSigningKey } from "../../src/audit/head-signature.ts";
import { startAuditServer } from "../support/node/audit-server.ts";

const [REVIEWER, ANALYST, SUPPORT, OWNER, GUEST] = ["reviewer", "analyst", "support", "owner", "guest"].map(
  (name) => `${name}@harbor.example`,
) as [string, string, string, string, string];
const HOSTILE = "a\u001b[2K\u009b1A\u202eb\u200b";

// This file needs its own server, because it forges records.
const server = await startAuditServer();
const { stateDir, run, printed, inOwnDatabase, ask, forge } = server;

afterAll(async () => server.stop());

const countQueries = (): unknown =>
  inOwnDatabase(
    (database) =>
      database
        .prepare("SELECT count(*) AS count FROM audit_record WHERE body ->> '$.attempt.operation' = 'query'")
        .get()?.["count"],
  );

const countLedgers = (): unknown =>
  inOwnDatabase(
    (database) => database.prepare("SELECT count(DISTINCT ledger) AS count FROM audit_record").get()?.["count"],
  );

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const ACTING = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u202e]/;

// A command that takes longer than a second says how far it is.
const ONLY_PROGRESS = expect.stringMatching(/^(?:Verifying records: .*\n)*$/);

// The tests follow each other: records are made, then read, then forged.
describe("npm run gatehouse -- audit", () => {
  it("says that there are no records before the first call", async () => {
    expect(await printed("list")).toBe(
      "There are no audit records here yet. A record arrives here about ten seconds after its call.\n",
    );
  }, 60_000);

  it("lists, shows, exports and verifies the calls of users, which arrive by themselves", async () => {
    await ask(
      REVIEWER,
      "SELECT email FROM customers LIMIT 2",
      "SELECT notes FROM customers",
      "SELECT count(*) FROM orders",
    );
    await ask(GUEST, "SELECT 1 FROM customers", "SELECT 1 FROM orders");
    const withKey = "SELECT id, email FROM customers ORDER BY id LIMIT 2";
    await ask(SUPPORT, withKey, ...Array.from({ length: 3 }, () => "SELECT 1 FROM customers LIMIT 1"));
    for (const email of [ANALYST, OWNER])
      await ask(email, ...Array.from({ length: 4 }, () => "SELECT 1 FROM customers LIMIT 1"));
    await expect.poll(countQueries, { timeout: 60_000, interval: 500 }).toBe(17);
    // The command of the test before has a record in the ledger of operators.
    expect((await fetch(`${server.origin}/api/upkeep`, { method: "POST" })).status).toBe(204);
    await expect.poll(countLedgers, { timeout: 60_000, interval: 500 }).toBe(6);

    const { records, next } = JSON.parse(
      await printed("list", "--user", REVIEWER, "--column", "shop.customers.email", "--json"),
    );
    expect(next).toBeNull();
    expect(records).toMatchObject([
      { user: REVIEWER, action: "query", decision: "allowed", rows: 2, masked: ["shop.customers.email:email"] },
    ]);

    const [line = "", ...others] = (
      await printed("list", "--dataset", "shop.customers", "--limit", "1", "--since", "1h")
    )
      .trim()
      .split("\n");
    expect(line).toMatch(
      /^\d{4}-\d\d-\d\dT[\d:]+Z {2}owner@harbor\.example {2}\S+ {2}query {2}\S+ {2}allowed {2}1 row {2}[0-9a-f]{12}\/\d+$/,
    );
    const [, cursor = ""] = /add --after (\S+) to/.exec(others.join()) ?? [];
    expect(await printed("list", "--dataset", "shop.customers", "--limit", "1", "--after", cursor)).not.toContain(line);

    const shown = await printed("show", records[0].id);
    for (const part of [
      REVIEWER,
      "SELECT email FROM customers LIMIT ?",
      "shop.customers.email:email",
      "It fits this record",
    ])
      expect(shown).toContain(part);

    const verified = await run("verify");
    expect(verified).toMatchObject({ status: 0, stderr: ONLY_PROGRESS });
    expect(verified.stdout).toMatch(/^All records fit: \d+ records of 6 ledgers were verified\.\n/);
    const [, key = ""] = /signed with the key (\S+)\. Note it/.exec(verified.stdout) ?? [];
    expect(await run("verify", "--key", key)).toMatchObject({ status: 0, stderr: ONLY_PROGRESS });
    expect(await run("verify", "--key", key.toLowerCase())).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining(`was not signed with the key ${key.toLowerCase()}`),
    });
  }, 180_000);

  it("lists who saw a row, and who possibly did", async () => {
    const [withKeys] = JSON.parse(
      await printed("list", "--user", SUPPORT, "--column", "shop.customers.email", "--json"),
    ).records;
    const { values, complete } = withKeys.keys["shop.customers"];
    expect({ values, complete }).toEqual({ values: [expect.any(String), expect.any(String)], complete: true });
    const row = `shop.customers/${values[1]}`;
    expect(await printed("show", withKeys.id)).toContain(
      `  Rows by key:\n    shop.customers/${values[0]}\n    ${row}\n`,
    );
    const whoSaw = ["list", "--column", "shop.customers.email", "--key", row];
    expect(JSON.parse(await printed(...whoSaw, "--json")).records).toMatchObject([
      { user: SUPPORT, showsRow: "certain" },
      { user: REVIEWER, showsRow: "possible" },
    ]);
    expect((await printed(...whoSaw)).trim().split("\n")).toEqual([
      expect.stringMatching(/^\S+ {2}support@.*\/\d+$/),
      expect.stringMatching(/^\S+ {2}reviewer@.* {2}possibly this row$/),
    ]);
    expect(await run("list", "--key", "4711")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--key is 4711. Write the id of a row"),
    });
  }, 180_000);

  it("compares the records with a signed list that was kept elsewhere", async () => {
    const key = await openSigningKey(readFileSync(path.join(stateDir, "audit-key"), "utf8"));
    if (key === null) throw new Error("there is no key");
    const heads = inOwnDatabase((database) =>
      database.prepare("SELECT ledger, seq, hash FROM audit_record WHERE seq = 2 ORDER BY ledger").all(),
    ).map(({ ledger, seq, hash }) => ({ ledger: String(ledger), seq: Number(seq), hash: String(hash) }));
    const writeList = async (name: string, listed: typeof heads): Promise<string> => {
      const digest = await digestHeads(listed);
      const list = { day: "2026-11-27", madeMs: 1, ledgers: listed.length, records: 2 * listed.length, digest };
      const file = path.join(stateDir, name);
      const signature = await key.sign(formatList(list));
      writeFileSync(file, JSON.stringify({ ...list, heads: listed, signature, key: key.publicKey }));
      return file;
    };
    expect(await run("verify", "--against", await writeList("kept.json", heads))).toMatchObject({ status: 0 });
    const other = await writeList("other.json", heads.with(0, { ledger: "x", seq: 2, hash: "f".repeat(64) }));
    const { status, stdout } = await run("verify", "--against", other);
    expect({ status, stdout }).toMatchObject({
      status: 1,
      stdout: expect.stringContaining("has a record 2 of the ledger x that is not stored"),
    });
    writeFileSync(other, readFileSync(other, "utf8").replace('"x"', '"y"'));
    expect((await run("verify", "--against", other)).stdout).toContain("does not have the heads that were signed");
    expect(await printed("heads")).toMatch(/^List of \d{4}-\d\d-\d\d, made .*Signed by the key/s);
  }, 180_000);

  it("names a record that someone put in after the newest one of a chain", async () => {
    const added = inOwnDatabase((database) => {
      const last = database.prepare("SELECT * FROM audit_record ORDER BY ended_ms LIMIT 1").get();
      const newest = database
        .prepare("SELECT seq, hash FROM audit_record WHERE ledger = ? ORDER BY seq DESC LIMIT 1")
        .get(String(last?.["ledger"]));
      const [body, seq] = [String(last?.["body"]), Number(newest?.["seq"])];
      const salts = createSalts(body, (count) => randomBytes(count));
      const hash = hashRecord({ seq, hash: String(newest?.["hash"]) }, body, salts);
      const values = [String(last?.["ledger"]), seq + 1, Number(last?.["ended_ms"]), body, JSON.stringify(salts), hash];
      database
        .prepare("INSERT INTO audit_record (ledger, seq, ended_ms, body, salts, hash) VALUES (?, ?, ?, ?, ?, ?)")
        .run(...values);
      const copied =
        "INSERT INTO audit_term SELECT term, ended_ms, last_insert_rowid() FROM audit_term WHERE record_id = ?";
      database.prepare(copied).run(Number(last?.["id"]));
      return { ledger: values[0], seq: seq + 1 };
    });
    const { status, stdout } = await run("verify", "--json");
    expect({ status, problems: JSON.parse(stdout).problems }).toMatchObject({
      status: 1,
      problems: [{ ...added, kind: "invented" }],
    });
    forge(REVIEWER, `DELETE FROM audit_record WHERE ledger = '${added.ledger}' AND seq = ${added.seq}`);
    expect(await run("verify")).toMatchObject({ status: 0 });
  }, 180_000);

  it("erases the arguments of a record, which then still verifies, and everything of a user", async () => {
    const { records } = JSON.parse(await printed("list", "--user", ANALYST, "--json"));
    const { id, ledger } = records[0];
    const options = ["erase", "--record", id, "--fields", "arguments", "--reason", "asked to"];
    expect(await printed(...options, "--dry-run")).toBe(
      "This would erase the fields arguments of 1 record in 1 ledger.\n",
    );
    expect(await run(...options)).toMatchObject({ status: 1, stderr: expect.stringContaining("--yes") });
    expect(await printed(...options, "--yes")).toMatch(/^Erased arguments of 1 record.*The ledgers have recorded/s);
    expect(await printed("show", id)).toMatch(/Arguments: not recorded\n.*It fits this record/s);
    expect(await printed("erase", "--user", ANALYST, "--env", "production", "--dry-run")).toContain(
      "of all records of this user, their results, the stored answers of their sessions",
    );
    expect(await printed("erase", "--user", ANALYST, "--yes")).toMatch(/The ledgers have (?:erased and )?recorded/);
    await expect
      .poll(
        async () => JSON.parse(await printed("list", "--user", ANALYST, "--action", "erase records", "--json")).records,
        {
          timeout: 60_000,
        },
      )
      .toHaveLength(2);
    const exported = await printed("export", "--user", ANALYST, "--format", "jsonl");
    const lines = exported
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.every((line) => line.action === "erase records" || (line.arguments ?? line.client) === null)).toBe(
      true,
    );
    expect(await run("verify")).toMatchObject({ status: 0, stderr: ONLY_PROGRESS });
    forge(
      ANALYST,
      "UPDATE audit_record SET body = json_set(body, '$.attempt.asked', NULL) WHERE ledger = LEDGER AND body ->> '$.attempt.operation' = 'erase records' AND seq = (SELECT min(seq) FROM audit_record AS e WHERE e.ledger = LEDGER AND e.body ->> '$.attempt.operation' = 'erase records')",
    );
    expect(await run("verify", "--user", ledger)).toMatchObject({
      status: 1,
      stdout: expect.stringContaining("does not fit its hash"),
    });
  }, 180_000);

  it("records who reads the log, before it prints anything", async () => {
    await printed("list", "--user", REVIEWER, "--limit", "2");
    const waiting = inOwnDatabase((database) =>
      database.prepare("SELECT * FROM audit_operator_read ORDER BY began_ms DESC LIMIT 1").get(),
    );
    expect(waiting).toMatchObject({
      operator: `${userInfo().username}@${hostname()}`,
      request: JSON.stringify({ command: "list", user: REVIEWER, limit: "2" }),
      rows: 2,
      state: "ended",
    });
    const id = String(waiting?.["id"]);
    expect((await fetch(`${server.origin}/api/upkeep`, { method: "POST" })).status).toBe(204);
    await expect.poll(async () => (await run("show", id)).status, { timeout: 60_000, interval: 1000 }).toBe(0);
    const shown = await printed("show", id);
    for (const part of [
      "Record operator/",
      "User: operator",
      `Client: command-line ${userInfo().username}@${hostname()}`,
      "Action: read audit log",
      `Resource: {"command":"list","user":"${REVIEWER}","limit":"2"}`,
      "Returned: 2 rows",
      "It fits this record",
    ])
      expect(shown).toContain(part);
    expect(await printed("list", "--user", "operator", "--action", "read audit log", "--limit", "1")).toContain(
      "operator/",
    );
  }, 180_000);

  it.each([["list"], ["show", "abcd1234/1"], ["export", "--format", "jsonl"], ["verify"], ["heads"]])(
    "prints nothing of the log when %s cannot be recorded",
    async (...args) => {
      inOwnDatabase((database) =>
        database.exec(
          "CREATE TRIGGER refuse BEFORE INSERT ON audit_operator_read BEGIN SELECT raise(ABORT, 'not writable'); END",
        ),
      );
      try {
        const { ledger, seq } =
          inOwnDatabase((database) => database.prepare("SELECT ledger, seq FROM audit_record").get()) ?? {};
        const { status, stdout, stderr } = await run(
          ...args.map((arg) => arg.replace("abcd1234/1", `${String(ledger)}/${String(seq)}`)),
        );
        expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
        expect(stderr).toContain("This read of the audit log cannot be recorded, so nothing is printed: ");
        expect(stderr).toContain("write access to GATEHOUSE_DB");
        expect(stderr).not.toContain(String(ledger));
      } finally {
        inOwnDatabase((database) => database.exec("DROP TRIGGER refuse"));
      }
    },
    60_000,
  );

  it("exports to a private file, with text that a spreadsheet would run made inert", async () => {
    forge(
      OWNER,
      "UPDATE audit_record SET body = json_set(body, '$.attempt.asked', '=HYPERLINK(1)') WHERE ledger = LEDGER AND seq = (SELECT max(seq) FROM audit_record WHERE ledger = LEDGER)",
    );
    const file = path.join(stateDir, "export.csv");
    const { stderr, status } = await run("export", "--format", "csv", "--action", "query", "--output", file);
    expect({ stderr, status }).toEqual({ stderr: "Exported 17 records.\n", status: 0 });
    expect(statSync(file).mode & 0o077).toBe(0);
    const [header, first, ...rest] = readFileSync(file, "utf8").trim().split("\n");
    expect(header).toMatch(/^id,ledger,seq,began,ended,user,subject,/);
    expect(first).toContain(REVIEWER);
    expect(rest.at(-1)).toContain(",'=HYPERLINK(1),");
    expect((await run("export", "--format", "csv", "--output", file)).stderr).toContain("exists already.");
  }, 120_000);

  it("names the first bad record of each forged chain, ends with 1, and lets no stored text act on the terminal", async () => {
    const hostile = HOSTILE.replaceAll("'", "''");
    forge(
      REVIEWER,
      `UPDATE audit_record SET body = json_set(body, '$.attempt.resource', '${hostile}') WHERE ledger = LEDGER AND seq = 2`,
    );
    forge(ANALYST, "DELETE FROM audit_record WHERE ledger = LEDGER AND seq = 2");
    forge(
      SUPPORT,
      `UPDATE audit_record SET seq = 99 WHERE ledger = LEDGER AND seq = 2;
        UPDATE audit_record SET seq = 2 WHERE ledger = LEDGER AND seq = 3;
        UPDATE audit_record SET seq = 3 WHERE ledger = LEDGER AND seq = 99`,
    );
    forge(
      OWNER,
      "DELETE FROM audit_term WHERE term LIKE 'dataset %' AND record_id = (SELECT id FROM audit_record WHERE ledger = LEDGER AND seq = 2)",
    );
    forge(
      GUEST,
      "DELETE FROM audit_record WHERE ledger = LEDGER AND seq = (SELECT max(seq) FROM audit_record WHERE ledger = LEDGER)",
    );
    const { status, stdout } = await run("verify", "--json");
    expect(status).toBe(1);
    const { problems } = JSON.parse(stdout);
    expect(problems).toHaveLength(5);
    expect(problems).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ user: REVIEWER, kind: "changed", seq: 2 }),
        expect.objectContaining({ user: ANALYST, kind: "missing", seq: 2, toSeq: 2 }),
        expect.objectContaining({ user: GUEST, kind: "cut_tail", seq: 2, toSeq: 2 }),
        expect.objectContaining({ user: SUPPORT, kind: "moved", seq: 2, writtenSeq: 3 }),
        expect.objectContaining({ user: OWNER, kind: "hidden", seq: 2, terms: ["dataset shop.customers"] }),
      ]),
    );
    const again = JSON.parse((await run("verify", "--user", GUEST, "--json")).stdout);
    expect(again.problems).toEqual([]);
    const outputs = [
      await printed("list", "--user", REVIEWER),
      await printed("export", "--format", "jsonl", "--user", REVIEWER),
      await printed("export", "--format", "csv", "--user", REVIEWER),
    ];
    for (const output of outputs) expect(output).not.toMatch(ACTING);
    expect(outputs[0]).toContain("aU+001B[2KU+009B1AU+202EbU+200B");
    expect(outputs[1]?.split("\n").map((line) => (line === "" ? null : JSON.parse(line).resource))).toContain(HOSTILE);
  }, 180_000);

  it("shows whether a record fits the checkpoint in place of the removed record before it", async () => {
    const linkOf = async (seq: number): Promise<unknown> => {
      const { ledger } =
        inOwnDatabase((database) => database.prepare("SELECT ledger FROM audit_checkpoint").get()) ?? {};
      return JSON.parse(await printed("show", `${String(ledger)}/${seq}`, "--json")).records[0].link;
    };
    forge(
      OWNER,
      `INSERT INTO audit_checkpoint (ledger, seq, hash, until_ms, made_ms, signature, key)
          SELECT ledger, seq, hash, 1, 1, '', '' FROM audit_record WHERE ledger = LEDGER AND seq = 1;
        DELETE FROM audit_record WHERE ledger = LEDGER AND seq = 1`,
    );
    expect(await linkOf(2)).toBe("fits");
    forge(OWNER, "UPDATE audit_checkpoint SET hash = 'another' WHERE ledger = LEDGER");
    expect(await linkOf(2)).toBe("broken");
    forge(OWNER, "UPDATE audit_checkpoint SET seq = 0 WHERE ledger = LEDGER");
    expect(await linkOf(2)).toBe("unknown");
  }, 60_000);

  it.each<[readonly string[], number, string]>([
    [["list", "--decision", "maybe"], 2, "--decision is maybe. It takes allowed, denied, none."],
    [["list", "--user", "absent@harbor.example"], 1, "absent@harbor.example has never signed in"],
    [["export", "--format", "xml"], 2, "--format is xml. It takes jsonl or csv."],
    [["verify", "--day", "yesterday"], 2, "--day is yesterday."],
    [["show", "7"], 2, "7 is no id of a record."],
  ])(
    "refuses %j with exit code %i and the message: %s",
    async (args, exitCode, problem) => {
      const { status, stdout, stderr } = await run(...args);
      expect(status).toBe(exitCode);
      expect(stdout).toBe("");
      expect(stderr).toContain(problem);
      expect(stderr).not.toContain("    at ");
    },
    60_000,
  );
});

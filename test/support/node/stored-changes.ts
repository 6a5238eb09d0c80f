// Reads what a server has stored of changes from its files, also while it is down: the state in the object of a change, the journal and the
// rows in the database of the shop, and the audit records.
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { SQLInputValue, SQLOutputValue } from "node:sqlite";
import { WORKER_NAME, localDatabaseFile, nameObjectFile } from "../../../cli/local-server/local.ts";
import { parseStoredChange } from "../../../src/changes/stored-change.ts";
import type { StoredChange } from "../../../src/changes/stored-change.ts";

type Row = Readonly<Record<string, SQLOutputValue>>;

/** A record of the audit log, or of a call that has begun. */
export interface StoredRecord {
  readonly operation: string;
  /** `begun` while its outcome is not written. */
  readonly result: string;
  readonly code: string | null;
  readonly rows: number;
  readonly approver: string | null;
}

/** The files of a server. */
export interface StoredChanges {
  /** What the object of a change has stored; undefined when it has nothing. */
  readChange(id: string): StoredChange | undefined;
  /** The id of the change that takes another one back; undefined when none is registered. */
  findUndo(id: string): string | undefined;
  /** The outcome in the journal; undefined without a row. */
  readJournal(id: string): string | undefined;
  /** Rows of the shop. */
  readRows(sql: string, ...parameters: readonly SQLInputValue[]): readonly Row[];
  /** Records and begun calls of a user that name a change, whether they are still in the user's ledger or not. */
  listRecords(subjectId: string, id: string): readonly StoredRecord[];
  findSubject(email: string): string;
}

/** Opens the files of a state folder for each read. `isDown` says whether the server that writes them was killed. */
export function openStoredChanges(stateDir: string, isDown: () => boolean): StoredChanges {
  const read = (file: string, sql: string, ...parameters: readonly SQLInputValue[]): readonly Row[] =>
    isDown()
      ? readCopy(file, (copy) => query(new DatabaseSync(copy), sql, parameters))
      : query(new DatabaseSync(file, { readOnly: true, timeout: 10_000 }), sql, parameters);
  const shopFile = localDatabaseFile(stateDir, "sample-shop");
  const ownFile = localDatabaseFile(stateDir, "sample-gatehouse");
  return {
    readChange(id) {
      const file = objectFile(stateDir, "ChangeObject", id);
      if (!existsSync(file)) return undefined;
      const hasTable = read(file, "SELECT 1 FROM sqlite_schema WHERE name = 'change'").length > 0;
      const [row] = hasTable ? read(file, "SELECT body FROM change") : [];
      return row === undefined ? undefined : parseStoredChange(String(row["body"]));
    },
    findUndo(id) {
      const [row] = read(ownFile, "SELECT id FROM change WHERE undoes = ?", id);
      return row === undefined ? undefined : String(row["id"]);
    },
    readJournal(id) {
      const [row] = read(shopFile, "SELECT outcome FROM _gatehouse_journal WHERE change_id = ?", id);
      return row === undefined ? undefined : String(row["outcome"]);
    },
    readRows: (sql, ...parameters) => read(shopFile, sql, ...parameters),
    listRecords(subjectId, id) {
      const ledgerFile = objectFile(stateDir, "LedgerObject", subjectId);
      const named = "instr(body, ?) > 0";
      const kept = read(ledgerFile, `SELECT seq, body FROM record WHERE ${named}`, id);
      const sent = read(ownFile, `SELECT seq, body FROM audit_record WHERE ledger = ? AND ${named}`, subjectId, id);
      const begun = read(ledgerFile, "SELECT attempt FROM lease WHERE instr(attempt, ?) > 0", id);
      const bodies = new Map([...kept, ...sent].map(({ seq, body }) => [Number(seq), String(body)]));
      return [
        ...[...bodies.values()].map((body) => JSON.parse(body)),
        ...begun.map(({ attempt }) => ({ attempt: JSON.parse(String(attempt)), outcome: { result: "begun" } })),
      ].flatMap(({ attempt, outcome }): readonly StoredRecord[] =>
        attempt.resource === id
          ? [
              {
                operation: String(attempt.operation),
                result: String(outcome.result),
                code: outcome.code ?? null,
                rows: outcome.rows ?? 0,
                approver: outcome.approver ?? null,
              },
            ]
          : [],
      );
    },
    findSubject(email) {
      const [row] = read(ownFile, "SELECT subject_id FROM subject WHERE email = ?", email);
      if (row === undefined) throw new Error(`${email} has never signed in`);
      return String(row["subject_id"]);
    },
  };
}

/** The file of an object of the server, by its class and its name. Miniflare stores the objects beside the databases. */
function objectFile(stateDir: string, className: string, name: string): string {
  const namespace = `${WORKER_NAME}-${className}`;
  return path.join(stateDir, "v3", "do", namespace, nameObjectFile(namespace, name));
}

function query(database: DatabaseSync, sql: string, parameters: readonly SQLInputValue[]): readonly Row[] {
  try {
    return database
      .prepare(sql)
      .all(...parameters)
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
}

/** Reads a copy of a database whose process was killed: opening it completes or undoes what was under way, which is left to the server. */
function readCopy<T>(file: string, work: (copy: string) => T): T {
  const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-copy-"));
  const copy = path.join(folder, "copy");
  try {
    for (const suffix of ["", "-wal", "-journal"])
      if (existsSync(`${file}${suffix}`)) copyFileSync(`${file}${suffix}`, `${copy}${suffix}`);
    return work(copy);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

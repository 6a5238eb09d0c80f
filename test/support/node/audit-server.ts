// Runs audit commands beside a server of its own, and reads and forges GATEHOUSE_DB behind its back.
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { tokensFor } from "../oauth.ts";
import { queryShop } from "./query.ts";
import { freePort, startServer } from "./server.ts";

const ROOT = path.resolve(import.meta.dirname, "../../..");

/** A command that has ended. */
interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A server and its audit log. */
export interface AuditServer {
  readonly origin: string;
  readonly stateDir: string;
  readonly run: (...args: readonly string[]) => Promise<Ended>;
  /** Runs a command that must succeed, and returns what it prints. */
  readonly printed: (...args: readonly string[]) => Promise<string>;
  /** Opens GATEHOUSE_DB behind the server's back, as a forger does. */
  readonly inOwnDatabase: <T>(work: (database: DatabaseSync) => T) => T;
  /** Makes calls of a user. */
  readonly ask: (email: string, ...statements: readonly string[]) => Promise<void>;
  /** Runs SQL in which `LEDGER` stands for the user's ledger. */
  readonly forge: (email: string, sql: string) => void;
  readonly stop: () => Promise<void>;
}

/** Starts the server. */
export async function startAuditServer(): Promise<AuditServer> {
  const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-audit-"));
  const server = await startServer(await freePort(), stateDir);
  const { origin } = server;
  const run: AuditServer["run"] = async (...args) => {
    const env = { ...process.env, GATEHOUSE_STATE: stateDir };
    const child = spawn(process.execPath, ["cli/main.ts", "audit", ...args], { cwd: ROOT, env, stdio: "pipe" });
    const [stdout, stderr, [status]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    return { status, stdout, stderr };
  };
  const inOwnDatabase: AuditServer["inOwnDatabase"] = (work) => {
    const folder = path.join(stateDir, "v3/d1");
    const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".sqlite"));
    for (const file of files) {
      const database = new DatabaseSync(path.join(folder, file), { timeout: 5000 });
      try {
        if (database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'audit_record'").get() !== undefined)
          return work(database);
      } finally {
        database.close();
      }
    }
    throw new Error("there is no GATEHOUSE_DB");
  };
  return {
    origin,
    stateDir,
    run,
    inOwnDatabase,
    async printed(...args) {
      const { status, stdout, stderr } = await run(...args);
      if (status !== 0) throw new Error(stderr);
      return stdout;
    },
    async ask(email, ...statements) {
      const { accessToken } = await tokensFor({ origin, send: fetch }, email);
      for (const sql of statements) await (await queryShop(origin, accessToken, sql)).text();
    },
    forge(email, sql) {
      inOwnDatabase((database) => {
        const ledger = database.prepare("SELECT subject_id FROM subject WHERE email = ?").get(email)?.["subject_id"];
        database.exec(sql.replaceAll("LEDGER", `'${String(ledger)}'`));
      });
    },
    async stop() {
      await server.stop("SIGTERM");
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

// Serves the sample in a process that can be killed, with a policy that names a real client: its user decides on changes of tickets in a
// form. The client registers and signs in at a first run of the server, and keeps its access token for the later ones.
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll } from "vitest";
import { localDatabaseFile, openStorage, originOf } from "../../../cli/local-server/local.ts";
import { migrateLocal, migrateOwnTables } from "../../../cli/local-server/migrations.ts";
import { loadSample } from "../../../cli/local-server/sample.ts";
import sample from "../../../sample/gatehouse.config.ts";
import { connectWith } from "./clients.ts";
import { bundlePolicy } from "./policy-server.ts";
import { freePort } from "./server.ts";
import { TestAuth } from "./sign-in.ts";
import { ROOT, runProcess } from "./worker.ts";
import type { WorkerProcess } from "./worker.ts";

const CONFIG = path.join(ROOT, "sample/wrangler.jsonc");
const SECRET = "of tests, long enough to be one";
/** Stands for the client in the policy until it has registered, because the server chooses its id. */
const CLIENT_ID = "the client of the tests";

/** A change as the list of all changes has it. */
interface ListedChange {
  readonly id: string;
  readonly state: string;
}

/** The server, and what it has stored. */
interface ChangeServer {
  readonly origin: string;
  readonly resource: string;
  /** The client that the rule names, signed in. */
  readonly named: TestAuth;
  start(): Promise<void>;
  /** Ends the server at once, with SIGKILL. */
  kill(): Promise<void>;
  /** Returns the number of a ticket of the north with normal priority that was not returned before. */
  takeTicket(): number;
  priorityOf(ticket: number): string;
  /** Every change, the oldest first. */
  listChanges(): readonly ListedChange[];
  /** The results in the audit records of one operation on a change. */
  listRecords(change: string, operation: string): readonly string[];
}

/** Runs the server for the tests of a file, with a client of this account. */
export function useChangeServer(account: string): () => ChangeServer {
  const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-changes-"));
  let running: Awaited<ReturnType<typeof createChangeServer>> | undefined;
  beforeAll(async () => {
    running = await createChangeServer(dir, account);
  }, 120_000);
  afterAll(async () => {
    await running?.stop("SIGTERM");
    rmSync(dir, { recursive: true, force: true });
  });
  return () => {
    if (running === undefined) throw new Error("the server runs during tests only");
    return running.server;
  };
}

async function createChangeServer(dir: string, account: string) {
  const stateDir = path.join(dir, "state");
  const port = await freePort();
  const origin = originOf(port);
  const resource = `${origin}/mcp`;
  const named = new TestAuth(account);
  const [bundle] = await Promise.all([bundlePolicy(dir, writePolicy(dir)), prepareStorage(stateDir)]);
  const env = {
    CONFIG,
    BUNDLE: bundle,
    PORT: String(port),
    STATE: stateDir,
    BINDINGS: JSON.stringify({
      GATEHOUSE_TOKEN_KEY: `token key ${SECRET}`,
      GATEHOUSE_AUDIT_KEY: `audit key ${SECRET}`,
    }),
  };
  let running: WorkerProcess | undefined;
  const stop: WorkerProcess["stop"] = async (signal) => {
    await running?.stop(signal);
    running = undefined;
  };
  const start = async (): Promise<void> => {
    running = await runProcess("test/support/node/serve.ts", env, "serving", origin);
  };
  await start();
  await (await connectWith("sdk v2, 2026", resource, named)).close();
  await stop("SIGTERM");
  nameClient(bundle, named.clientInformation()?.client_id ?? "");
  await start();
  const kill = async (): Promise<void> => stop("SIGKILL");
  return { server: { origin, resource, named, start, kill, ...createInspection(stateDir) }, stop };
}

async function prepareStorage(stateDir: string): Promise<void> {
  const storage = await openStorage(CONFIG, stateDir);
  await migrateLocal(storage, CONFIG);
  await migrateOwnTables(storage, sample);
  await loadSample(storage, stateDir, () => {});
  await storage.dispose();
}

/** Writes the sample's policy file with a form for CLIENT_ID in its only rule whose changes the requester approves. */
function writePolicy(dir: string): string {
  const approval = 'approval: "requester",';
  const parts = readFileSync(path.join(ROOT, "sample/gatehouse.config.ts"), "utf8")
    .replace("../src/config/define-gatehouse.ts", path.join(ROOT, "src/config/define-gatehouse.ts"))
    .split(approval);
  if (parts.length !== 2) throw new Error("the sample does not have exactly one rule with the requester's approval");
  const file = path.join(dir, "gatehouse.config.ts");
  writeFileSync(file, parts.join(`${approval} confirm: { formIn: ["${CLIENT_ID}"] },`));
  return file;
}

/** Puts the id of a registered client into the policy of a bundle, as a second build with that policy would. */
function nameClient(bundle: string, clientId: string): void {
  const file = path.join(bundle, "index.js");
  const parts = readFileSync(file, "utf8").split(CLIENT_ID);
  if (parts.length !== 2 || clientId === "")
    throw new Error("the bundle has no place for the client, or none registered");
  writeFileSync(file, parts.join(clientId));
}

/** Reads the databases behind the server's back. */
function createInspection(stateDir: string) {
  const read = (file: string, sql: string, ...values: readonly (string | number)[]) => {
    const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
    try {
      return database.prepare(sql).all(...values);
    } finally {
      database.close();
    }
  };
  const shop = localDatabaseFile(stateDir, "sample-shop");
  const own = localDatabaseFile(stateDir, "sample-gatehouse");
  let lastTicket = 0;
  return {
    takeTicket() {
      const sql =
        "SELECT id FROM tickets WHERE region = 'north' AND priority = 'normal' AND id > ? ORDER BY id LIMIT 1";
      const [found] = read(shop, sql, lastTicket);
      if (found === undefined) throw new Error("every ticket was returned before");
      lastTicket = Number(found["id"]);
      return lastTicket;
    },
    priorityOf: (ticket: number) =>
      String(read(shop, "SELECT priority FROM tickets WHERE id = ?", ticket)[0]?.["priority"]),
    listChanges: () =>
      read(own, "SELECT id, state FROM change ORDER BY proposed_ms").map((row): ListedChange => ({
        id: String(row["id"]),
        state: String(row["state"]),
      })),
    listRecords(change: string, operation: string) {
      // A ledger keeps a record until it is in the database.
      const folder = path.join(stateDir, "v3/do/gatehouse-LedgerObject");
      const ledgers = readdirSync(folder).filter((file) => file.endsWith(".sqlite") && file !== "metadata.sqlite");
      const kept = ledgers.flatMap((file) => read(path.join(folder, file), "SELECT body FROM record"));
      const bodies = [...kept, ...read(own, "SELECT body FROM audit_record")].map((row) => String(row["body"]));
      const found = bodies
        .map((body): StoredRecord => JSON.parse(body))
        .filter(({ attempt }) => attempt.resource === change && attempt.operation === operation);
      return [...new Map(found.map(({ attempt, outcome }) => [attempt.call, outcome.result])).values()];
    },
  };
}

interface StoredRecord {
  readonly attempt: { readonly call: string; readonly operation: string; readonly resource?: string };
  readonly outcome: { readonly result: string };
}

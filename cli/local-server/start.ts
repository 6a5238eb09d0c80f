// `npm start`: serves Gatehouse on this machine. It serves the sample organisation while the policy file has no source, or with
// `-- --sample`.
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { Miniflare } from "miniflare";
import sampleConfig from "../../sample/gatehouse.config.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { listRowExpressions } from "../../src/policy/conditions.ts";
import { compareExpressions, compareSavedQueries, compareSchema } from "../../src/tables/schema-check.ts";
import { REINDEX_DUE_SQL } from "../../src/documents/reindex-due.ts";
import { STATISTICS_DUE_SQL } from "../../src/tables/statistics-due.ts";
import { describeAllHidden } from "../../src/gateway/all-hidden.ts";
import { CLIENT_DOCUMENTS_VARIABLE } from "../../src/sign-in/sign-in-settings.ts";
import { listReachableGuides } from "../../src/pages/client-guides.ts";
import { CliError } from "../kit/cli-error.ts";
import { buildWorker, root } from "../project/tools.ts";
import { describeEmptyDatabase } from "./empty-database.ts";
import { localClientDocuments } from "./client-documents.ts";
import type { LocalClientDocuments } from "./client-documents.ts";
import { placeProblems } from "../project/load-policy.ts";
import { loadOwnConfig, requireBindings } from "../project/policy-file.ts";
import { stateFolder } from "../project/state-folder.ts";
import { DEFAULT_PORT, freeAddresses, takeState, notePort, openStorage, originOf, startLocal } from "./local.ts";
import { migrateLocal, migrateOwnTables } from "./migrations.ts";
import { PRIVATE_FILE, keepFilesPrivate, openStateFolder } from "../project/private-files.ts";
import { loadSample } from "./sample.ts";
import { hideVariables, localSignIn } from "./sign-in.ts";
import { openQuarantine } from "./supervisor/quarantine-file.ts";
import { superviseServer } from "./supervisor/supervise.ts";
import type { Supervisor } from "./supervisor/supervise.ts";
import { print, printAside, printDefect } from "../kit/terminal.ts";

/** Serves until a signal ends the process. Throws `CliError` when it cannot serve. `isSampleWanted` serves the sample in any case. */
export async function serveLocally(isSampleWanted: boolean): Promise<void> {
  const port = parsePort(process.env["PORT"]);
  const addresses = await freeAddresses(port);
  if (addresses === undefined) {
    throw new CliError(
      `Port ${port} is in use on this machine. Stop the other program, or choose another port: PORT=8788 npm start`,
    );
  }
  const ownConfig = await loadOwnConfig();
  const isSample = isSampleWanted || ownConfig.policy.sources.length === 0;
  const config = isSample ? sampleConfig : ownConfig;
  const configPath = path.join(root, isSample ? "sample/wrangler.jsonc" : "wrangler.jsonc");
  const stateDir = stateFolder();
  requireBindings(config, configPath);
  const signIn = localSignIn(configPath, originOf(port));
  keepFilesPrivate();
  openStateFolder(stateDir);
  const otherPid = takeState(stateDir);
  if (otherPid !== undefined)
    throw new CliError(
      `npm start in process ${otherPid} already serves the state in ${stateDir}. Stop it, or set GATEHOUSE_STATE to another folder. ` +
        `If that process is another program, delete ${path.join(stateDir, "pid")}.`,
    );
  hideVariables(configPath);

  print("Building …");
  const bundleDir = mkdtempSync(path.join(tmpdir(), "gatehouse-"));
  process.on("exit", () => rmSync(bundleDir, { recursive: true, force: true }));
  const [clientDocuments] = await Promise.all([localClientDocuments(configPath), buildWorker(configPath, bundleDir)]);
  await prepareStorage(configPath, stateDir, config, isSample);

  const variables = {
    ...signIn,
    [CLIENT_DOCUMENTS_VARIABLE]: clientDocuments.isOn ? "on" : "off",
    GATEHOUSE_TOKEN_KEY: readLocalKey(stateDir, "token-key"),
    GATEHOUSE_AUDIT_KEY: readLocalKey(stateDir, "audit-key"),
  };
  const origin = originOf(port);
  const supervisor = await superviseServer({
    origin,
    querySeconds: config.limits.querySeconds,
    quarantine: openQuarantine(stateDir),
    start: async (handover, watcher) => {
      const bindings = { ...variables, GATEHOUSE_SUPERVISOR: JSON.stringify(handover) };
      return startLocal({ configPath, bundleDir, port, addresses, stateDir, bindings, watcher });
    },
  });
  notePort(stateDir, port);
  const stop = (): void => void supervisor.stop().finally(() => process.exit(0));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  const method = signIn["GATEHOUSE_SIGN_IN"];
  const announceServer = (): void => announce(config, { origin, isSample, method, clientDocuments });
  await Promise.race([supervisor.failed, serve(supervisor, announceServer)]);
}

async function serve(supervisor: Supervisor, announceServer: () => void): Promise<void> {
  const { miniflare, origin } = supervisor.server();
  // Propagates changes made while the server was stopped. In a deployment a cron trigger does this.
  await runUpkeep(async () => void (await fetch(`${origin}/api/upkeep`, { method: "POST" })));
  announceServer();
  await runUpkeep(async () => {
    const { outcome } = await (await miniflare.getWorker()).scheduled();
    if (outcome !== "ok") throw new Error(`it ended with ${outcome}`);
  });
  // Runs until the supervisor fails or a signal ends the process.
  await supervisor.failed;
}

/** Runs a part of the upkeep once, which a cron trigger runs in a deployment. A failure is printed and does not stop the server. */
async function runUpkeep(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    // Users may already send queries, and a restart of the server interrupts the upkeep. The next start runs it again.
    printAside("The upkeep did not finish. The served data is complete, and the next start runs the upkeep again.");
    printDefect(error);
  }
}

/** Reads a key of this machine, and creates it on the first start: local data holds masking tokens and signatures of these keys. */
function readLocalKey(stateDir: string, name: "token-key" | "audit-key"): string {
  const file = path.join(stateDir, name);
  if (!existsSync(file)) {
    writeFileSync(`${file}.new`, randomBytes(32).toString("hex"), { mode: PRIVATE_FILE });
    renameSync(`${file}.new`, file);
  }
  return readFileSync(file, "utf8");
}

function parsePort(text: string | undefined): number {
  if (text === undefined || text === "") return DEFAULT_PORT;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new CliError(`PORT is ${JSON.stringify(text)}. It takes a number from 1 to 65535.`);
  return port;
}

/** Migrates the local databases and compares them with the policy file before anything is served. */
async function prepareStorage(
  configPath: string,
  stateDir: string,
  config: Gatehouse,
  isSample: boolean,
): Promise<void> {
  const storage = await openStorage(configPath, stateDir);
  try {
    await migrateLocal(storage, configPath);
    await migrateOwnTables(storage, config);
    // Documents and tables may have changed while the server was stopped.
    const ownDatabase = await storage.getD1Database("GATEHOUSE_DB");
    await ownDatabase.batch([REINDEX_DUE_SQL, STATISTICS_DUE_SQL].map((sql) => ownDatabase.prepare(sql)));
    if (isSample) await loadSample(storage, stateDir, print);
    const policyFile = path.join(root, isSample ? "sample" : "src", "gatehouse.config.ts");
    await requireDeclaredSchema(storage, config, policyFile);
  } finally {
    await storage.dispose();
  }
}

/** Throws `CliError` when the policy file does not match the local databases. */
async function requireDeclaredSchema(storage: Miniflare, { policy }: Gatehouse, policyFile: string): Promise<void> {
  const problems: string[] = [];
  for (const source of policy.sources.filter((candidate) => candidate.kind === "d1")) {
    const { name, binding } = source;
    const datasets = policy.datasets.filter((dataset) => dataset.kind === "table" && dataset.source === name);
    const tables = datasets.filter((dataset) => dataset.kind === "table");
    const database = await storage.getD1Database(binding);
    const empty = tables.length === 0 ? undefined : await describeEmptyDatabase(database, source);
    if (empty !== undefined) {
      problems.push(`- sources.${name}: ${empty}`);
      continue;
    }
    const queries = policy.queries.filter((query) => query.source === name);
    const schemaProblems = await compareSchema(database, tables);
    const ruleProblems = await compareExpressions(database, listRowExpressions(policy, name));
    const queryProblems = schemaProblems.length > 0 ? [] : await compareSavedQueries(database, queries, tables);
    const lines = placeProblems(policyFile, root, queryProblems);
    problems.push(...[...schemaProblems, ...ruleProblems].map(({ message }) => `- ${message}`));
    problems.push(...lines.map((line) => `- ${line}`));
  }
  if (problems.length > 0)
    throw new CliError(`The policy file does not match the local databases:\n${problems.join("\n")}`);
}

interface Served {
  readonly origin: string;
  readonly isSample: boolean;
  /** The value of GATEHOUSE_SIGN_IN. */
  readonly method: string | undefined;
  readonly clientDocuments: LocalClientDocuments;
}

function announce({ organisation, policy }: Gatehouse, { origin, isSample, method, clientDocuments }: Served): void {
  const allHidden = describeAllHidden(policy);
  const lines = [
    "",
    `Gatehouse serves ${organisation.name}${isSample ? " (the sample)" : ""} at ${origin}`,
    `MCP endpoint: ${origin}/mcp`,
    "",
    ...(method === "sample"
      ? [
          "Accounts of the sample sign-in:",
          ...policy.members.map((member) => `  ${member.email.padEnd(28)} ${member.name}`),
          "",
        ]
      : []),
    ...(method === "none" ? ["Users cannot sign in: GATEHOUSE_SIGN_IN is none.", ""] : []),
    ...(allHidden === undefined ? [] : [allHidden, "Then start again.", ""]),
    ...(clientDocuments.isOffline
      ? [
          "The network does not answer, so clients register themselves instead of using metadata documents.",
          `(Set ${CLIENT_DOCUMENTS_VARIABLE} to on or off to skip the check of the network.)`,
          "",
        ]
      : []),
    "Add it to a client:",
    ...listReachableGuides(`${origin}/mcp`).map(({ client, how, paste }) => `  ${client}: ${how}\n    ${paste}`),
    "",
    "Press Ctrl+C to stop.",
  ];
  print(lines.join("\n"));
}

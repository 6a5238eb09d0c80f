// Opens the bindings and settings that several files of the composition root share: sources, ledgers, the masking token key, the log.
import { waitUntil } from "cloudflare:workers";
import { openAuditRecordStore } from "../audit/audit-record-store.ts";
import { createCallLog } from "../audit/call-log.ts";
import { withOcsfLog } from "../audit/ocsf-log.ts";
import type { RecordReceiver } from "../audit/record-flush.ts";
import { createRefusedStatements, parseHandover } from "../audit/refused-statements.ts";
import type { LogSignal } from "../audit/signals.ts";
import type { Handover, RefusedStatements } from "../audit/refused-statements.ts";
import type { Gatehouse } from "../config/define-gatehouse.ts";
import { createDefenceLog } from "../read/defence-log.ts";
import { openSources } from "./open-sources.ts";
import type { IndexOptions } from "./open-sources.ts";
import { createPlatformSpans } from "./platform-spans.ts";
import type { StatisticsOptions } from "./source-statistics.ts";
import type { Source } from "../read/source.ts";
import { parseMaskingTokenKey } from "../masking-tokens/masking-token-store.ts";
import type { MaskingTokenKey } from "../masking-tokens/masking-token-store.ts";
import type { OnRefusal } from "../sql/defence-refusal.ts";
import { createEnginePool } from "../sql/engine/pool.ts";
import type { EnginePool } from "../sql/engine/pool.ts";
import type { Spans } from "../lib/spans.ts";
import { redactLogText } from "../lib/log-text.ts";
import { describeError, escapeInvisible } from "../lib/visible-text.ts";

/** What an isolate creates once for all environments: the pool of SQL engines, the log of refusals by a defence, and the spans. */
export interface IsolateResources {
  readonly engines: EnginePool;
  readonly defenceLog: (source: string) => OnRefusal;
  readonly spans: Spans;
  /** When the first ledger of this isolate was created, in milliseconds since the epoch. Each new ledger calls it. */
  readonly readFirstLedgerMs: () => number;
}

/** Creates the resources of an isolate. */
export function createIsolateResources(): IsolateResources {
  let firstLedgerMs: number | undefined;
  return {
    engines: createEnginePool(),
    defenceLog: createDefenceLog({ log: logWarning, now: Date.now }),
    spans: createPlatformSpans(),
    readFirstLedgerMs: () => (firstLedgerMs ??= Date.now()),
  };
}

/** Opens the sources that the policy file declares. Throws `TypeError` for a missing binding or masking token key. */
export function openPolicySources(config: Gatehouse, env: Env, isolateResources: IsolateResources): readonly Source[] {
  const { policy, limits } = config;
  return openSources(policy, env, {
    maxQuerySteps: limits.maxQuerySteps,
    maskingTokenKey: readMaskingTokenKey(env),
    log: logError,
    engines: isolateResources.engines,
    defenceLog: isolateResources.defenceLog,
    withSpan: isolateResources.spans.withSpan,
    waitUntil,
    index: buildIndexOptions(config, env),
  });
}

/** Builds the options of the document index: its database and how often it is updated. */
export function buildIndexOptions({ limits }: Gatehouse, env: Env): IndexOptions {
  const { indexSeconds, reindexDocuments } = limits;
  return { database: env.GATEHOUSE_DB, now: Date.now, indexSeconds, reindexDocuments };
}

/** Builds the options of the sources' statistics. */
export function buildStatisticsOptions({ limits }: Gatehouse, env: Env): StatisticsOptions {
  return { database: env.GATEHOUSE_DB, now: Date.now, analyzedRowsPerDay: limits.analyzedRowsPerDay };
}

/** Returns a function that opens the ledger of a subject. */
export function openLedgers(env: Env) {
  return (subjectId: string) => env.LEDGER.get(env.LEDGER.idFromName(subjectId));
}

/** Opens the store to which ledgers send their records, which also logs them when the policy file says so. */
export function openRecordReceiver({ log }: Gatehouse["audit"], env: Env): RecordReceiver {
  const store = openAuditRecordStore(env.GATEHOUSE_DB);
  return log === "ocsf" ? withOcsfLog(store, (line) => console.log(escapeInvisible(line))) : store;
}

/** Returns a function that opens the workspace of a subject. */
export function openWorkspaces(env: Env) {
  return (subjectId: string) => env.WORKSPACE.get(env.WORKSPACE.idFromName(subjectId));
}

/** Reads the masking token key; null when GATEHOUSE_TOKEN_KEY is not set. */
export function readMaskingTokenKey(env: Env): MaskingTokenKey | null {
  return parseMaskingTokenKey(Reflect.get(env, "GATEHOUSE_TOKEN_KEY"));
}

/** Opens the statements that `npm start` refuses, because they ended a process, and the digests by which the log names statements. */
export function openStatements({ organisation }: Gatehouse, env: Env): RefusedStatements {
  const { refused } = readHandover(env);
  return createRefusedStatements({
    key: readMaskingTokenKey(env)?.bytes ?? null,
    refused,
    contact: organisation.contact,
  });
}

/** Reads what the supervisor of `npm start` hands over at each start. */
export function readHandover(env: Env): Handover {
  return parseHandover(Reflect.get(env, "GATEHOUSE_SUPERVISOR"));
}

/** Logs each call, also in a deployment, so that operators see in Workers Logs who runs what, how long it takes and its result. */
export const logCall = createCallLog(Date.now, (line) => console.log(escapeInvisible(line)));

/** Logs a signal as JSON, because Workers Logs indexes JSON by field. */
export const logSignal: LogSignal = (line) =>
  console.warn(escapeInvisible(JSON.stringify({ event: "signal", ...line })));

/**
 * Logs a warning in one line. It may hold text of clients and identity providers, so characters that forge a line are escaped, and what may
 * identify a user is removed.
 */
export function logWarning(message: string): void {
  console.warn(escapeInvisible(redactLogText(message)));
}

/** Logs an error in one line, followed by the error and its stack, without what may identify a user. */
export function logError(message: string, error?: unknown): void {
  const described = error === undefined ? [] : [describeError(error, redactLogText)];
  console.error(escapeInvisible(redactLogText(message)), ...described);
}

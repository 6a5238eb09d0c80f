// What several parts of the composition root open of an environment: sources, ledgers, the token key, the log.
import { waitUntil } from "cloudflare:workers";
import { createCallLog } from "./access/call-log.ts";
import { createStatements, parseHandover } from "./access/refused-statements.ts";
import type { Handover, Statements } from "./access/refused-statements.ts";
import type { Gatehouse } from "./config.ts";
import { createDefenceLog } from "./sources/defence-log.ts";
import { openSources } from "./sources/registry.ts";
import type { IndexOptions } from "./sources/registry.ts";
import type { Source } from "./sources/source.ts";
import { parseTokenKey } from "./sources/tokens.ts";
import type { TokenKey } from "./sources/tokens.ts";
import type { OnRefusal } from "./sql/defence.ts";
import { createEnginePool } from "./sql/engine/pool.ts";
import type { EnginePool } from "./sql/engine/pool.ts";
import { describeError, escapeInvisible } from "./lib/visible-text.ts";

/** What an isolate has once, whatever it opens: the memory of its engines, and the log of refusals by a defence. */
export interface Shared {
  readonly engines: EnginePool;
  readonly defenceLog: (source: string) => OnRefusal;
}

export function openShared(): Shared {
  return {
    engines: createEnginePool(),
    defenceLog: createDefenceLog({ log: logWarning, now: Date.now }),
  };
}

/** The sources of the policy file. */
export function openOwnSources(config: Gatehouse, env: Env, shared: Shared): readonly Source[] {
  const { policy, limits } = config;
  return openSources(policy, env, {
    maxQuerySteps: limits.maxQuerySteps,
    tokenKey: tokenKeyOf(env),
    log: logError,
    ...shared,
    background: waitUntil,
    index: indexOptions(config, env),
  });
}

/** Where and how often documents are indexed. */
export function indexOptions({ limits }: Gatehouse, env: Env): IndexOptions {
  const { indexSeconds, sweepDocuments } = limits;
  return { database: env.GATEHOUSE_DB, now: Date.now, indexSeconds, sweepDocuments };
}

/** The ledger of each subject. */
export function ledgersOf(env: Env) {
  return (subjectId: string) => env.LEDGER.get(env.LEDGER.idFromName(subjectId));
}

export function tokenKeyOf(env: Env): TokenKey | null {
  return parseTokenKey(Reflect.get(env, "GATEHOUSE_TOKEN_KEY"));
}

/** Statements as the log names them, and those that `npm start` refuses. */
export function openStatements({ organisation }: Gatehouse, env: Env): Statements {
  const { refused } = handoverOf(env);
  return createStatements({ key: tokenKeyOf(env)?.bytes ?? null, refused, contact: organisation.contact });
}

/** What the supervisor of `npm start` says at each start. */
export function handoverOf(env: Env): Handover {
  return parseHandover(Reflect.get(env, "GATEHOUSE_SUPERVISOR"));
}

/** In a deployment too: operators see in Workers Logs who runs what, how long it takes and what becomes of it. */
export const logCall = createCallLog(Date.now, (line) => console.log(escapeInvisible(line)));

/** One line. Texts of clients and identity providers stand in it, so nothing in it may forge a line or rewrite a terminal. */
export function logWarning(message: string): void {
  console.warn(escapeInvisible(message));
}

/** As `logWarning`, with the error and where it was thrown on the lines below. */
export function logError(message: string, error?: unknown): void {
  console.error(escapeInvisible(message), ...(error === undefined ? [] : [describeError(error)]));
}

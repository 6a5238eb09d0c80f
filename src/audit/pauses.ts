// What an operator has paused, as one ledger knows it: the ledger's owner, their personal access tokens, clients and sources. `begin` and
// `commit` decide by this copy. The functions do not open a transaction; their callers do.
import { formatPatClientId, parsePatClientId } from "../lib/pat-client.ts";
import { buildPausedOutcome, formatPauseRecord, isOfSource } from "./pause-model.ts";
import type { Pause, PauseSnapshot, PauseAction } from "./pause-model.ts";
import { EVENT_OUTCOME } from "./audit-record.ts";
import type { Attempt, Outcome } from "./audit-record.ts";
import type { Records } from "./records.ts";

/** The pauses of one ledger. */
export interface Pauses {
  /** Finds the pause of the user, the personal access token or the client of a call. */
  findForCaller(attempt: Attempt, patId: string | undefined, nowMs: number): Pause | undefined;
  /** Finds the pause that keeps an answer from leaving: of its caller, or of a source of which it has data. */
  findForAnswer(attempt: Attempt, outcome: Outcome, nowMs: number): Pause | undefined;
  listSources(nowMs: number): readonly Pause[];
  /** Replaces what the ledger knows, unless it is newer, and records what has changed for its owner. */
  apply(snapshot: PauseSnapshot, nowMs: number): boolean;
  /** Records that a call was refused, once a day for each pause: a client that retries must not fill the ledger. */
  recordRefusal(attempt: Attempt, pause: Pause, nowMs: number): void;
}

type PauseRow = Record<string, SqlStorageValue> & { readonly kind: Pause["kind"] } & Omit<Pause, "kind">;

/** Creates them over the tables `pause` and `pause_copy` of a ledger. */
export function createPauses(sql: SqlStorage, records: Pick<Records, "appendAlways">, subjectId: string): Pauses {
  const list = (): readonly Pause[] =>
    sql
      .exec<PauseRow>("SELECT kind, target, reason, until_ms AS untilMs, changed_by AS changedBy, version FROM pause")
      .toArray();
  const listActive = (nowMs: number): readonly Pause[] =>
    list().filter(({ untilMs }) => untilMs === null || untilMs > nowMs);
  const readVersion = (): number =>
    sql.exec<{ version: number }>("SELECT version FROM pause_copy").toArray()[0]?.version ?? 0;

  function record(operation: PauseAction, pause: Pause, nowMs: number): void {
    const { kind, target, version } = pause;
    const attempt: Attempt = {
      call: `${operation} ${version}`,
      subjectId,
      owner: null,
      clientId: kind === "client" ? target : kind === "token" ? formatPatClientId(target) : "",
      operation,
      asked: formatPauseRecord(operation, pause),
      ...(kind === "source" ? { resource: target } : {}),
    };
    records.appendAlways(attempt, EVENT_OUTCOME, nowMs);
  }

  const findOfCaller = (active: readonly Pause[], clientId: string, patId: string | undefined): Pause | undefined =>
    active.find(
      ({ kind, target }) =>
        // The copy has only pauses of the ledger's own user.
        kind === "user" || (kind === "token" && target === patId) || (kind === "client" && target === clientId),
    );

  return {
    findForCaller: ({ clientId }, patId, nowMs) => findOfCaller(listActive(nowMs), clientId, patId),
    findForAnswer({ clientId }, { datasets }, nowMs) {
      const active = listActive(nowMs);
      return (
        findOfCaller(active, clientId, parsePatClientId(clientId)) ??
        active.find(({ kind, target }) => kind === "source" && datasets.some((dataset) => isOfSource(dataset, target)))
      );
    },
    listSources: (nowMs) => listActive(nowMs).filter(({ kind }) => kind === "source"),
    apply({ version, pauses }, nowMs) {
      const copied = readVersion();
      if (version < copied) return false;
      const before = list();
      // Two snapshots of one version may have been read under two addresses of the user; what either has is true.
      if (version > copied) sql.exec("DELETE FROM pause");
      for (const { kind, target, reason, untilMs, changedBy, version: changed } of pauses)
        sql.exec(
          `INSERT INTO pause (kind, target, reason, until_ms, changed_by, version) VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING`,
          kind,
          target,
          reason,
          untilMs,
          changedBy,
          changed,
        );
      sql.exec("INSERT OR REPLACE INTO pause_copy (id, version) VALUES (1, ?)", version);
      const after = list();
      const isIn = (all: readonly Pause[], { kind, target }: Pause): boolean =>
        all.some((other) => other.kind === kind && other.target === target);
      for (const pause of after)
        if (!before.some((old) => old.version === pause.version)) record("pause access", pause, nowMs);
      for (const pause of before)
        if (!isIn(after, pause) && (pause.untilMs ?? Infinity) > nowMs)
          record("resume access", { ...pause, changedBy: "operator" }, nowMs);
      return true;
    },
    recordRefusal(attempt, pause, nowMs) {
      const call = `refused by pause ${pause.version}`;
      records.appendAlways({ ...attempt, call }, buildPausedOutcome(pause), nowMs);
    },
  };
}

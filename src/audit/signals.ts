// What an operator may want to be alerted of in the use of one user and their personal access tokens: the first use of a dataset, far more
// rows than on other days, many denials in a row, and signs of an attack. Each is a line of the log, and none stops a call. The line is
// written in the transaction that counts, so a crash can repeat a line but lose none.
import type { DefenceCode } from "../sql/defence-refusal.ts";
import type { Attempt, Outcome } from "./audit-record.ts";
import type { SignalSettings } from "../config/signal-settings.ts";

/** A line of the log. It names ids, datasets of the policy and codes, never a person, SQL or a value. */
export type SignalLine =
  | { readonly signal: "first_use"; readonly dataset: string }
  | { readonly signal: "unusual_rows"; readonly rows: number; readonly median: number; readonly days: number }
  | { readonly signal: "many_denials"; readonly denials: number }
  | { readonly signal: "attack_sign"; readonly sign: string };

/** Writes a line. `call` is the id of the call or event at which it was noticed. */
export type LogSignal = (line: SignalLine & { readonly subject: string; readonly call: string }) => void;

/** The signals of one ledger. */
export interface Signals {
  /** Looks at a call that was committed, once. */
  observeCall(call: string, outcome: Outcome, defence: DefenceCode | undefined, nowMs: number): void;
  /** Looks at an event, such as the end of a connection whose refresh token was presented twice. */
  observeEvent(attempt: Attempt, outcome: Outcome, nowMs: number): void;
}

/** What the signals of a ledger need. */
export interface SignalOptions {
  readonly settings: SignalSettings;
  readonly log: LogSignal;
}

const DAY_MS = 86_400_000;
/** With how many earlier days of use a day is compared. */
const COMPARED_DAYS = 30;
/** Bounds the table; a policy has far fewer datasets. The oldest is forgotten, and its next use is a first use again. */
const MAX_USED_DATASETS = 2000;
/** What the platform or a migration causes is no sign of an attack. */
const HARMLESS: readonly DefenceCode[] = ["schema_drift", "order_leak", "unknown_opcode"];

/** Creates the signals over the tables `used_dataset`, `day_of_use` and `signal` of a ledger. */
export function createSignals(sql: SqlStorage, subjectId: string, { settings, log }: SignalOptions): Signals {
  const startOfDay = (nowMs: number): number => Math.floor(nowMs / DAY_MS) * DAY_MS;

  /** Logs a line unless this thing was logged today. */
  function logOnceADay(name: string, call: string, line: SignalLine, nowMs: number): void {
    const dayMs = startOfDay(nowMs);
    const first = sql.exec(
      `INSERT INTO signal (name, day_ms, count) VALUES (?1, ?2, 0)
        ON CONFLICT (name) DO UPDATE SET day_ms = ?2 WHERE day_ms <> ?2 RETURNING name`,
      name,
      dayMs,
    );
    if (first.toArray().length > 0) log({ ...line, subject: subjectId, call });
  }

  function observeDatasets(call: string, datasets: readonly string[], nowMs: number): void {
    for (const dataset of new Set(datasets)) {
      const first = sql.exec(
        "INSERT INTO used_dataset (dataset, first_ms) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING dataset",
        dataset,
        nowMs,
      );
      if (first.toArray().length === 0) continue;
      log({ signal: "first_use", dataset, subject: subjectId, call });
      sql.exec(
        "DELETE FROM used_dataset WHERE dataset IN (SELECT dataset FROM used_dataset ORDER BY first_ms DESC LIMIT -1 OFFSET ?)",
        MAX_USED_DATASETS,
      );
    }
  }

  function observeRows(call: string, rows: number, nowMs: number): void {
    const dayMs = startOfDay(nowMs);
    const today = sql
      .exec<{ rows: number }>(
        `INSERT INTO day_of_use (day_ms, rows) VALUES (?1, ?2)
          ON CONFLICT (day_ms) DO UPDATE SET rows = rows + ?2 RETURNING rows`,
        dayMs,
        rows,
      )
      .one().rows;
    const { rowsFactor, minDays, minRows } = settings;
    if (rowsFactor === 0 || today < minRows) return;
    sql.exec(
      "DELETE FROM day_of_use WHERE day_ms IN (SELECT day_ms FROM day_of_use ORDER BY day_ms DESC LIMIT -1 OFFSET ?)",
      COMPARED_DAYS + 1,
    );
    const earlier = sql
      .exec<{ rows: number }>("SELECT rows FROM day_of_use WHERE day_ms < ? ORDER BY rows", dayMs)
      .toArray();
    if (earlier.length < minDays) return;
    const [low, high] = [Math.floor((earlier.length - 1) / 2), Math.ceil((earlier.length - 1) / 2)];
    const median = ((earlier[low]?.rows ?? 0) + (earlier[high]?.rows ?? 0)) / 2;
    if (today > rowsFactor * median)
      logOnceADay("rows", call, { signal: "unusual_rows", rows: today, median, days: earlier.length }, nowMs);
  }

  function observeDenial(call: string, nowMs: number): void {
    const { count } = sql
      .exec<{ count: number }>(
        `INSERT INTO signal (name, day_ms, count) VALUES ('denials in a row', 0, 1)
          ON CONFLICT (name) DO UPDATE SET count = count + 1 RETURNING count`,
      )
      .one();
    if (settings.denials > 0 && count >= settings.denials)
      logOnceADay("denials", call, { signal: "many_denials", denials: count }, nowMs);
  }

  return {
    observeCall(call, { result, datasets, rows }, defence, nowMs) {
      if (result === "denied") observeDenial(call, nowMs);
      // Names and descriptions are no use of a dataset, and do not end a series of denials.
      if (result === "answered" && rows > 0) {
        sql.exec("UPDATE signal SET count = 0 WHERE name = 'denials in a row' AND count > 0");
        if (settings.firstUse) observeDatasets(call, datasets, nowMs);
        observeRows(call, rows, nowMs);
      }
      if (settings.attackSigns && defence !== undefined && !HARMLESS.includes(defence))
        logOnceADay(`defence ${defence}`, call, { signal: "attack_sign", sign: defence }, nowMs);
    },
    observeEvent({ call, operation }, { result, denials }, nowMs) {
      // Its denial is a text of the grant store, which says what was presented twice.
      const [sign] = denials;
      if (!settings.attackSigns || operation !== "end connection" || result !== "denied" || sign === undefined) return;
      logOnceADay(operation, call, { signal: "attack_sign", sign }, nowMs);
    },
  };
}

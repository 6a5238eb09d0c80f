// Compares what clients saw under load with what the server kept. Pure.
import type { LoadCall } from "./load-clients.ts";
import type { LoadRecord, LoggedEnd } from "./load-records.ts";
import type { LoadServer, Outage } from "./load-server.ts";

/** A check and what it found. */
export interface LoadCheck {
  readonly name: string;
  readonly isMet: boolean;
  readonly detail: string;
}

/** How many examples of a problem are printed. */
const EXAMPLES = 3;

const check = (name: string, problems: readonly string[], detail: string): LoadCheck => ({
  name,
  isMet: problems.length === 0,
  detail: problems.length === 0 ? detail : `${problems.length}: ${problems.slice(0, EXAMPLES).join("; ")}`,
});

const nameCall = ({ email, operation, asked }: LoadCall | LoadRecord): string => `${email} ${operation} ${asked}`;

/** Every answered call has its record, and no call has more records than it was made. Several calls may have the same text. */
export function checkRecords(calls: readonly LoadCall[], records: readonly LoadRecord[]): readonly LoadCheck[] {
  const made = Map.groupBy(calls, nameCall);
  const kept = Map.groupBy(records, nameCall);
  const countAnswered = (list: readonly { readonly outcome?: string; readonly result?: string }[] = []): number =>
    list.filter(({ outcome, result }) => outcome === "answered" || result === "answered").length;
  const lost = [...made].filter(([name, list]) => countAnswered(kept.get(name)) < countAnswered(list));
  const doubled = [...kept].filter(([name, list]) => made.has(name) && list.length > (made.get(name)?.length ?? 0));
  const ids = [...Map.groupBy(records, ({ call }) => call)].filter(([, list]) => list.length > 1);
  const answered = countAnswered(calls);
  return [
    check(
      "every answered call has its record",
      lost.map(([name]) => name),
      `${answered} answered calls`,
    ),
    check(
      "no call has two records",
      [...doubled, ...ids].map(([name]) => name),
      `${records.length} records`,
    ),
  ];
}

/** Lists the calls that the server has begun, and whose record has not arrived. A call that its ledger refused has none. */
export function listMissing(logged: readonly LoggedEnd[], records: readonly LoadRecord[]): readonly string[] {
  const kept = new Map(records.map(({ call, result }) => [call, result]));
  return logged.flatMap(({ call, outcome }) => {
    if (outcome === undefined) return kept.has(call) ? [] : [`${call} was cut`];
    return outcome === "answered" && kept.get(call) !== "answered" ? [`${call} was answered`] : [];
  });
}

/** The calls of the server's log have their records, those that a kill cut included. */
export function checkLog(logged: readonly LoggedEnd[], records: readonly LoadRecord[]): LoadCheck {
  const cut = logged.filter(({ outcome }) => outcome === undefined).length;
  return check(
    "every call that the server began has its record",
    listMissing(logged, records),
    `${logged.length} calls, of which kills cut ${cut}`,
  );
}

/** Only calls that a kill cut, or that were made while the server started, end without an answer. */
export function checkFailures(calls: readonly LoadCall[], outages: readonly Outage[]): LoadCheck {
  const failed = calls.filter(({ outcome }) => outcome !== "answered");
  const unexplained = failed.filter(
    ({ beganMs, endedMs }) => !outages.some((outage) => beganMs <= outage.endedMs && endedMs >= outage.beganMs),
  );
  return check(
    "only calls during an outage fail",
    unexplained.map((call) => `${nameCall(call)} → ${call.outcome} ${call.message.slice(0, 300)}`),
    `${failed.length} calls failed, all of them during an outage`,
  );
}

/** What memory may grow by while the load is even. */
const GROWTH_SHARE = 0.2;
const GROWTH_BYTES = 32 * 2 ** 20;
/** Fewer samples, one each second, show nothing. */
const MIN_SAMPLES = 15;
/** After a start, caches and the heap fill. */
const WARM_UP_SHARE = 1 / 3;

/** The memory of the server's last process stays flat once it is warm. */
export function checkMemory(memory: LoadServer["memory"], fromMs: number): LoadCheck {
  const calm = memory.filter(({ atMs }) => atMs >= fromMs).map(({ rssBytes }) => rssBytes);
  const warm = calm.slice(Math.floor(calm.length * WARM_UP_SHARE));
  const tenth = Math.max(1, Math.floor(warm.length / 10));
  const [start, end] = [mean(warm.slice(0, tenth)), mean(warm.slice(-tenth))];
  if (calm.length < MIN_SAMPLES) return { name: "memory stays flat", isMet: true, detail: "too short to judge" };
  const all = memory.map(({ rssBytes }) => rssBytes);
  const megabytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;
  const detail = `${megabytes(start)} at the start without kills, ${megabytes(end)} at the end, ${megabytes(Math.max(...all))} at most`;
  return { name: "memory stays flat", isMet: end <= start * (1 + GROWTH_SHARE) + GROWTH_BYTES, detail };
}

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** The p50, p95 and p99 of the answered calls, in milliseconds. */
export function describeTimes(calls: readonly LoadCall[]): string {
  const times = calls
    .filter(({ outcome }) => outcome === "answered")
    .map(({ beganMs, endedMs }) => endedMs - beganMs)
    .toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Math.round(times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? NaN);
  return `p50 ${at(0.5)} ms, p95 ${at(0.95)} ms, p99 ${at(0.99)} ms`;
}

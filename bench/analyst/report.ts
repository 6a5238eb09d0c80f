// Judges the measurements of the analyst benchmark by the bars, and builds results.md.
import { cpus } from "node:os";
import type { Size } from "./data.ts";
import type { AnalystQuery } from "./queries.ts";
import { BARS, ROLES } from "./roles.ts";
import type { Role } from "./roles.ts";

/** What came of one query under one role. */
export interface Measurement {
  readonly query: AnalystQuery;
  readonly role: Role;
  /** The median; null when the run was cut off. */
  readonly directMs: number | null;
  readonly governed: Outcome;
}

/** What came of the governed run. */
export type Outcome =
  /** `difference` describes how the answer differs from the direct one; undefined if it is the same. */
  | { readonly kind: "answered"; readonly ms: number; readonly difference: string | undefined }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "cut" };

/** How the benchmark ran. */
export interface Setting {
  readonly size: Size;
  readonly isAnalyzed: boolean;
  readonly rounds: number;
  readonly limitMs: number;
}

/** A refusal of a query that takes longer than this directly is no fault. */
const MAX_REFUSED_DIRECT_MS = 1000;

/** Whether a query meets its bar. Undefined when there is nothing to compare with: the direct run was cut off. */
function isMet({ directMs, governed, role, query }: Measurement): boolean | undefined {
  if (directMs === null) return undefined;
  if (governed.kind === "refused") return directMs > MAX_REFUSED_DIRECT_MS ? undefined : false;
  if (governed.kind === "cut" || governed.difference !== undefined) return false;
  if (query.maxMs !== undefined && governed.ms > query.maxMs) return false;
  const { maxRatio, maxAddedMs } = BARS[role];
  return governed.ms <= maxRatio * directMs + maxAddedMs;
}

const decimals = (ms: number): string => ms.toFixed(ms < 100 ? 1 : 0);

/** The row of one measurement in its table. */
export function buildRow(measurement: Measurement): string {
  const { query, directMs, governed } = measurement;
  const ms = governed.kind === "answered" ? decimals(governed.ms) : describe(governed.kind);
  const ratio = governed.kind === "answered" && directMs !== null ? (governed.ms / directMs).toFixed(2) : "–";
  const met = isMet(measurement);
  const result = met === undefined ? "–" : met ? "met" : "missed";
  const sameness = governed.kind !== "answered" ? "–" : directMs === null ? "not compared" : "same";
  const answer = governed.kind === "answered" && governed.difference !== undefined ? "**wrong**" : sameness;
  return `| ${[query.name, directMs === null ? "cut off" : decimals(directMs), ms, ratio, result, answer].join(" | ")} |`;
}

const describe = (kind: "refused" | "cut"): string => (kind === "cut" ? "cut off" : "refused");

/** The share of a role's queries that meet the bar, as a row of the summary. */
function buildShare(role: Role, measurements: readonly Measurement[]): string {
  const { title, directTitle, maxRatio, maxAddedMs, minShare } = BARS[role];
  const verdicts = measurements.filter((measurement) => measurement.role === role).map(isMet);
  const judged = verdicts.filter((verdict) => verdict !== undefined);
  const met = judged.filter(Boolean).length;
  const share = judged.length === 0 ? 1 : met / judged.length;
  const bar = `${maxRatio} × + ${maxAddedMs} ms`;
  const cells = [
    title,
    directTitle,
    bar,
    `${met} of ${judged.length}`,
    `${(100 * share).toFixed(1)} %`,
    `${100 * minShare} %`,
    share >= minShare ? "met" : "missed",
  ];
  return `| ${cells.join(" | ")} |`;
}

/** Lists the faults of one kind under a heading. */
function buildList(heading: string, lines: readonly string[]): readonly string[] {
  return ["", `## ${heading}`, "", ...(lines.length === 0 ? ["None."] : lines.map((line) => `- ${line}`))];
}

/** Builds the report as Markdown. */
export function buildReport(measurements: readonly Measurement[], setting: Setting): string {
  const { size, isAnalyzed, rounds, limitMs } = setting;
  const name = ({ query, role }: Measurement): string => `${query.name} (${BARS[role].title.toLowerCase()})`;
  const refused = measurements.flatMap((measurement) => {
    const { governed, directMs } = measurement;
    if (governed.kind !== "refused") return [];
    const direct = directMs === null ? "cut off" : `${decimals(directMs)} ms`;
    return [`${name(measurement)}, directly ${direct}: ${governed.code}: ${governed.message}`];
  });
  const wrong = measurements.flatMap((measurement) =>
    measurement.governed.kind === "answered" && measurement.governed.difference !== undefined
      ? [`${name(measurement)}: ${measurement.governed.difference}`]
      : [],
  );
  const slow = measurements.filter(
    ({ query: { maxMs }, governed }) =>
      maxMs !== undefined && (governed.kind === "cut" || (governed.kind === "answered" && governed.ms > maxMs)),
  );
  const cut = measurements.filter(({ governed, directMs }) => governed.kind === "cut" || directMs === null);
  const tables = ROLES.flatMap((role) => [
    "",
    `## ${BARS[role].title}`,
    "",
    "| query | direct ms | governed ms | ratio | bar | answer |",
    "| --- | --- | --- | --- | --- | --- |",
    ...measurements.filter((measurement) => measurement.role === role).map(buildRow),
  ]);
  return [
    "# Benchmark of analyst queries",
    "",
    `${size.orders} orders, ${size.customers} customers, ${size.events} events and ${size.workOrders} work orders in a local D1,`,
    `${isAnalyzed ? "after" : "without"} \`ANALYZE\`, on ${cpus().length} cores.`,
    `Each query ran governed and directly in turn: medians of at most ${rounds} rounds, each with a new text.`,
    `A run of more than ${limitMs / 1000} s was cut off.`,
    "A query also misses its bar when it is refused, wrong or cut off, or takes longer than its own limit.",
    `A refusal does not count when the direct run takes more than ${MAX_REFUSED_DIRECT_MS / 1000} s.`,
    "Compare only within these tables.",
    "",
    "| role | compared with the same SQL over | bar | queries that meet it | share | required | result |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...ROLES.map((role) => buildShare(role, measurements)),
    ...buildList("Refused", refused),
    ...buildList("Wrong", wrong),
    ...buildList("Slower than their own limit", slow.map(name)),
    ...buildList("Cut off", cut.map(name)),
    ...tables,
    "",
  ].join("\n");
}

// `npm run bench:analyst`: runs analyst queries over a million orders under three roles, interleaved with the same SQL sent directly to
// D1, and compares times and answers. Prints the measurements and writes them to results.md.
//
// Environment: ROUNDS (rounds per query), SCALE (0.01 for a hundredth of the rows), ONLY (a regular expression on the names), LIST (a file
// with other queries), ANALYZE=0 (no statistics). Only a run without SCALE, ONLY and LIST writes results.md.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { findDifference } from "./answers.ts";
import { sizeAt } from "./data.ts";
import { parseQueries } from "./queries.ts";
import type { AnalystQuery } from "./queries.ts";
import { buildReport, buildRow } from "./report.ts";
import type { Measurement, Outcome } from "./report.ts";
import { ROLES } from "./roles.ts";
import type { Role } from "./roles.ts";
import { load, serve } from "./server.ts";
import type { Run, Server } from "./server.ts";
import type { RunRequest } from "./worker.ts";

const ROUNDS = Number(process.env["ROUNDS"] ?? 5);
const SCALE = Number(process.env["SCALE"] ?? 1);
const ONLY = new RegExp(process.env["ONLY"] ?? "");
const LIST = process.env["LIST"] ?? path.join(import.meta.dirname, "queries.sql");
const IS_ANALYZED = process.env["ANALYZE"] !== "0";
const IS_WHOLE = ["SCALE", "ONLY", "LIST", "ANALYZE"].every((name) => process.env[name] === undefined);
/** A statement that runs longer is cut off, as `limits.querySeconds` cuts off a query by default. */
const LIMIT_MS = 20_000;
/** What all rounds of a query under one role should take. A slower query has fewer rounds, but at least one. */
const BUDGET_MS = 2000;
/** When the first round takes longer, it is the only one. */
const MAX_WARM_UP_MS = 10_000;
/** A fast statement runs several times in one request, which takes at least this long. */
const MIN_REQUEST_MS = 30;

const WAYS = ["direct", "governed"] as const;

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Runs a query in both ways and compares the answers. The first round only warms up, unless it is very slow. */
async function measure(server: Server, query: AnalystQuery, role: Role): Promise<Measurement> {
  const run = (way: RunRequest["way"], times: number): Promise<Run> => server.run({ way, role, sql: query.sql, times });
  const direct = await run("direct", 1);
  const governed = await run("governed", 1);
  const outcome = compare(query, direct, governed);
  if (direct.kind === "cut" || outcome.kind !== "answered")
    return { query, role, directMs: direct.kind === "cut" ? null : direct.ms, governed: outcome };
  const pairMs = direct.ms + outcome.ms;
  if (pairMs > MAX_WARM_UP_MS) return { query, role, directMs: direct.ms, governed: outcome };
  const rounds = Math.min(ROUNDS, Math.max(1, Math.floor(BUDGET_MS / pairMs)));
  const times = { direct: countRepeats(direct.ms), governed: countRepeats(outcome.ms) };
  const figures: Record<RunRequest["way"], number[]> = { direct: [], governed: [] };
  for (let round = 0; round < rounds; round += 1) {
    // Neither way always runs in the wake of the other.
    for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
      const next = await run(way, times[way]);
      figures[way].push(next.kind === "done" ? next.ms : LIMIT_MS);
    }
  }
  return { query, role, directMs: median(figures.direct), governed: { ...outcome, ms: median(figures.governed) } };
}

const countRepeats = (ms: number): number => Math.ceil(MIN_REQUEST_MS / Math.max(ms, 1));

function compare(query: AnalystQuery, direct: Run, governed: Run): Outcome {
  if (governed.kind === "cut") return { kind: "cut" };
  const { answer, ms } = governed;
  if (answer.kind === "refused") return answer;
  if (direct.kind === "cut") return { kind: "answered", ms, difference: undefined };
  if (direct.answer.kind === "refused") throw new TypeError("a direct run cannot be refused");
  const comparison = { isOrdered: query.isOrdered, isCut: answer.isCut };
  return { kind: "answered", ms, difference: findDifference(direct.answer.rows, answer.rows, comparison) };
}

const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-bench-analyst-"));
try {
  const queries = parseQueries(readFileSync(LIST, "utf8")).filter(({ name }) => ONLY.test(name));
  const size = sizeAt(SCALE);
  const stateDir = path.join(dir, "state");
  await load(stateDir, size, IS_ANALYZED);
  const server = await serve(dir, stateDir, LIMIT_MS);
  const measurements: Measurement[] = [];
  for (const role of ROLES) {
    console.log(`\nAs ${role}: query | direct ms | governed ms | ratio | bar | answer`);
    for (const query of queries) {
      const measurement = await measure(server, query, role);
      measurements.push(measurement);
      console.log(buildRow(measurement));
    }
  }
  await server.stop();
  const report = buildReport(measurements, { size, isAnalyzed: IS_ANALYZED, rounds: ROUNDS, limitMs: LIMIT_MS });
  if (IS_WHOLE) writeFileSync(path.join(import.meta.dirname, "results.md"), report);
  console.log(`\n${report.slice(0, report.indexOf("\n## Owner"))}`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}

// Builds results.md: the tables of measurements, and the required ratios between servers.
import { cpus } from "node:os";
import type { Method, Round } from "./client.ts";
import type { Server } from "./servers.ts";

/** The rounds of one server, and the CPU time that they took. */
export interface Figures {
  readonly rounds: Round[];
  cpuSeconds: number;
}

/** The measurements of one method at one concurrency. */
export interface Measurement {
  readonly method: Method;
  readonly concurrency: number;
  /** By the server's label. */
  readonly figures: ReadonlyMap<string, Figures>;
}

/** A server's memory with open sessions, before and after a rest. */
export interface Memory {
  readonly name: string;
  readonly sessions: number;
  readonly openBytes: number;
  readonly restMs: number;
  readonly restedBytes: number;
}

/** Everything that the report contains. */
export interface Results {
  readonly rounds: number;
  readonly roundMs: number;
  readonly measurements: readonly Measurement[];
  readonly servers: readonly Server[];
  readonly memory: readonly Memory[];
}

interface Bar {
  readonly method: Method;
  readonly server: string;
  readonly against: string;
  /** The minimum ratio of requests per second. */
  readonly atLeast: number;
}

const BARS: readonly Bar[] = [
  { method: "tools/call", server: "Gatehouse, session", against: "session agent", atLeast: 2.5 },
  { method: "tools/call", server: "Gatehouse, session", against: "bare object echo", atLeast: 0.45 },
  { method: "tools/call", server: "Gatehouse, 2026", against: "stateless handler", atLeast: 1.3 },
  { method: "tools/list", server: "Gatehouse, session", against: "session agent", atLeast: 3 },
  { method: "tools/list", server: "Gatehouse, 2026", against: "stateless handler", atLeast: 3 },
];

const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(0);

/** Builds the report as Markdown. */
export function reportOf({ rounds, roundMs, measurements, servers, memory }: Results): string {
  const requests = measurements.flatMap((measurement) =>
    [...measurement.figures].map(([label, figures]) => requestsRow(measurement, label, figures)),
  );
  const ratios = measurements.flatMap((measurement) =>
    BARS.filter(({ method }) => method === measurement.method).map((bar) => ratioRow(measurement, bar)),
  );
  return [
    "# Benchmark of the protocol runtime",
    "",
    [
      `Plain workerd on ${cpus().length} cores that the load generator shares.`,
      `${rounds} interleaved rounds of ${roundMs} ms each, after a warm-up round.`,
      "Compare only within these tables.",
    ].join("\n"),
    "",
    ...table(["request", "concurrency", "server", "requests/s", "p50 ms", "p99 ms", "CPU µs per request"], requests),
    "Ratios of requests per second (median of the rounds):",
    "",
    ...table(["request", "concurrency", "server", "compared with", "ratio", "minimum", "result"], ratios),
    ...table(
      ["server", "bundle, KiB gzip", "ms from process start to first answer"],
      servers.map(({ name, gzipBytes, startMs }) => [name, Math.round(gzipBytes / 1024), Math.round(startMs)]),
    ),
    ...table(
      ["server", "sessions", "resident MiB, just opened", "rest, s", "resident MiB, after the rest"],
      memory.map(({ name, sessions, openBytes, restMs, restedBytes }) => [
        name,
        sessions,
        mebibytes(openBytes),
        restMs / 1000,
        mebibytes(restedBytes),
      ]),
    ),
  ].join("\n");
}

function requestsRow(
  { method, concurrency }: Measurement,
  label: string,
  { rounds, cpuSeconds }: Figures,
): (string | number)[] {
  const requests = rounds.reduce((sum, round) => sum + round.requests, 0);
  const seconds = rounds.reduce((sum, round) => sum + round.seconds, 0);
  const latencies = rounds.flatMap((round) => round.latencies).toSorted((a, b) => a - b);
  const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? Number.NaN).toFixed(2);
  return [
    method === "open" ? "initialize / discover" : method,
    concurrency,
    label,
    Math.round(requests / seconds),
    at(0.5),
    at(0.99),
    Math.round((cpuSeconds / requests) * 1e6),
  ];
}

/** Compares two servers by the median of the rounds' ratios; each round ran both servers. */
function ratioRow(
  { method, concurrency, figures }: Measurement,
  { server, against, atLeast }: Bar,
): (string | number)[] {
  const rates = (label: string): number[] =>
    (figures.get(label)?.rounds ?? []).map(({ requests, seconds }) => requests / seconds);
  const againstRates = rates(against);
  const median = medianOf(rates(server).map((rate, round) => rate / (againstRates[round] ?? Number.NaN)));
  return [method, concurrency, server, against, median.toFixed(2), atLeast, median >= atLeast ? "met" : "missed"];
}

function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const [low = Number.NaN, high = Number.NaN] = [
    sorted[Math.floor((sorted.length - 1) / 2)],
    sorted[Math.floor(sorted.length / 2)],
  ];
  return (low + high) / 2;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string[] {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line), ""];
}

// The tables of results.md, and the ratios that are asked for.
import { cpus } from "node:os";
import type { Method, Round } from "./client.ts";
import type { Server } from "./servers.ts";

export interface Figures {
  readonly rounds: Round[];
  cpuSeconds: number;
}

export interface Measurement {
  readonly method: Method;
  readonly concurrency: number;
  /** By the contender's label. */
  readonly figures: ReadonlyMap<string, Figures>;
}

export interface Memory {
  readonly name: string;
  readonly sessions: number;
  readonly openBytes: number;
  readonly restMs: number;
  readonly restedBytes: number;
}

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
  /** Of requests a second. */
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
    `Plain workerd, ${cpus().length} cores shared with the load, ${rounds} interleaved rounds of ${roundMs} ms each after one to warm up. Compare within these tables only.`,
    "",
    ...table(["request", "at a time", "server", "requests/s", "p50 ms", "p99 ms", "CPU µs a request"], requests),
    "Ratios of requests a second, the median of the rounds:",
    "",
    ...table(["request", "at a time", "server", "against", "ratio", "bar", "result"], ratios),
    ...table(
      ["server", "bundle, KiB gzip", "process start to first answer, ms"],
      servers.map(({ name, gzipBytes, startMs }) => [name, Math.round(gzipBytes / 1024), Math.round(startMs)]),
    ),
    ...table(
      ["server", "sessions", "resident MiB, just opened", "after a rest of, s", "resident MiB"],
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

/** The median over the rounds, each of which ran both. */
function ratioRow(
  { method, concurrency, figures }: Measurement,
  { server, against, atLeast }: Bar,
): (string | number)[] {
  const rates = (label: string): number[] =>
    (figures.get(label)?.rounds ?? []).map(({ requests, seconds }) => requests / seconds);
  const others = rates(against);
  const median = medianOf(rates(server).map((rate, round) => rate / (others[round] ?? Number.NaN)));
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

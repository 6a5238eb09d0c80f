// Runs the official conformance suite against the runtime: no failure, no warning, no scenario without a passed check, and no list of
// expected failures.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, it } from "vitest";
import { useConformanceWorker } from "../support/node/conformance-worker.ts";
import { ROOT } from "../support/node/worker.ts";

const run = promisify(execFile);
const SUITE = path.join(ROOT, "node_modules/.bin/conformance");

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

const worker = useConformanceWorker();
const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-conformance-results-"));

afterAll(() => {
  rmSync(dir, { recursive: true, force: true });
});

describe("the official conformance suite for servers", () => {
  it.each([
    ["2025-06-18", 27],
    ["2025-11-25", 33],
    ["2026-07-28", 40],
  ])(
    "passes all scenarios of revision %s (%i)",
    async (version, scenarios) => {
      const out = path.join(dir, version);
      const { stdout } = await run(process.execPath, [
        SUITE,
        "server",
        "--url",
        `${worker().origin}/mcp`,
        "--suite",
        "all",
        "--spec-version",
        version,
        "-o",
        out,
      ]);
      const results = readdirSync(out).map((name) => {
        const checks: Check[] = JSON.parse(readFileSync(path.join(out, name, "checks.json"), "utf8"));
        return { name, checks };
      });
      const unclean = results.filter(
        ({ checks }) =>
          !checks.some(({ status }) => status === "SUCCESS") ||
          checks.some(({ status }) => status === "FAILURE" || status === "WARNING"),
      );
      expect(unclean, stdout).toEqual([]);
      expect(results).toHaveLength(scenarios);
    },
    180_000,
  );
});

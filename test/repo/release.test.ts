// Tests that release checks fail when something is wrong, and do not pass when they cannot run.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it, vi } from "vitest";
import { checkSize } from "../../scripts/release/bundle.ts";
import { checkVulnerabilities } from "../../scripts/release/tools.ts";
import { checkVersions } from "../../scripts/release/versions.ts";

const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-release-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: unknown): void {
  mkdirSync(path.dirname(path.join(folder, name)), { recursive: true });
  writeFileSync(path.join(folder, name), typeof content === "string" ? content : JSON.stringify(content));
}

describe("release:check", () => {
  it("fails when a manifest or the changelog has another version", () => {
    write("package.json", { version: "0.2.0" });
    write("CHANGELOG.md", "# Changelog\n\n## 0.2.0 (2026-12-01)\n\n## 0.1.0\n");
    write("plugin/.claude-plugin/plugin.json", { version: "0.2.0" });
    expect(checkVersions(folder).state).toBe("passed");
    write("plugin/.claude-plugin/plugin.json", { version: "0.1.0" });
    expect(checkVersions(folder)).toMatchObject({ state: "failed", saw: expect.stringContaining("plugin.json 0.1.0") });
    write("plugin/.claude-plugin/plugin.json", { version: "0.2.0" });
    write("CHANGELOG.md", "# Changelog\n\n## 0.1.0\n");
    expect(checkVersions(folder).state).toBe("failed");
  });

  it("fails when wrangler reports a size above the limit or no size", () => {
    const report = (gzip: string): string => `Total Upload: 1800.00 KiB / gzip: ${gzip} KiB\n`;
    expect(checkSize({ folder, report: report("750.00") }).state).toBe("passed");
    expect(checkSize({ folder, report: report("750.01") }).state).toBe("failed");
    expect(checkSize({ folder, report: "nothing" }).state).toBe("failed");
  });

  it("reports unknown vulnerabilities when the registry does not answer", () => {
    vi.stubEnv("npm_config_registry", "http://127.0.0.1:9");
    vi.stubEnv("npm_config_fetch_retries", "0");
    try {
      expect(checkVulnerabilities()).toMatchObject({
        state: "unknown",
        saw: expect.stringContaining("does not answer"),
      });
    } finally {
      vi.unstubAllEnvs();
    }
  });
});

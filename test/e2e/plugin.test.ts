// Tests the plugin in the real Claude Code: it is valid in the strict check, installs without a network, and reaches its server.
import path from "node:path";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { createClaudeCode, fetchClaudeCode } from "../support/node/claude-code.ts";
import type { ClaudeCode } from "../support/node/claude-code.ts";
import { ROOT } from "../support/node/worker.ts";

const resource = `${inject("origin")}/mcp`;

describe("Claude Code", () => {
  let claude: ClaudeCode;
  /** Why Claude Code is missing on this machine; never set in CI. */
  let missing: string | undefined;

  beforeAll(async () => {
    missing = await fetchClaudeCode();
    claude = createClaudeCode();
  }, 300_000);

  afterAll(() => claude.remove());

  it.for([".", "plugin"])("accepts the folder %s in its strict validation", async (folder, { skip }) => {
    skip(missing !== undefined, missing);
    const output = await claude.run("plugin", "validate", "--strict", path.join(ROOT, folder));
    expect(output).toContain("Validation passed");
  });

  it("installs the plugin without a network and reaches its server", async ({ skip }) => {
    skip(missing !== undefined, missing);
    await claude.run("plugin", "marketplace", "add", ROOT);
    await claude.run("plugin", "install", "gatehouse@gatehouse", "--config", `url=${resource}`);
    expect(await claude.run("plugin", "details", "gatehouse")).toContain("Skills (4)");
    const servers = await claude.run("mcp", "list");
    expect(servers).toContain(`plugin:gatehouse:gatehouse: ${resource} (HTTP) - ! Needs authentication`);
  });

  it("reaches the clone's own npm start when started in a clone", async ({ skip }) => {
    skip(missing !== undefined, missing);
    const servers = await claude.serversOf(ROOT, new URL(resource).port);
    expect(servers).toMatch(/^gatehouse: .*Needs authentication$/m);
  });
});

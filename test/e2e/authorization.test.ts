// Runs the official conformance suite's scenarios for authorization servers against the real server: the suite is the client, and the
// test approves and signs in as a user in a browser would.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, inject, it } from "vitest";
import { freePort } from "../support/node/server.ts";
import { walkThroughSignIn } from "../support/node/sign-in.ts";
import { ROOT } from "../support/node/worker.ts";

const SUITE = path.join(ROOT, "node_modules/.bin/conformance");
const SCENARIOS = ["authorization-code-grant", "authorization-server-metadata-endpoint"];

async function registerFor(redirectUri: string): Promise<string> {
  const response = await fetch(`${inject("origin")}/oauth/register`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ redirect_uris: [redirectUri], token_endpoint_auth_method: "none" }),
  });
  const { client_id: clientId }: { client_id: string } = JSON.parse(await response.text());
  return clientId;
}

/** Runs the suite and signs in at the authorization URL that it prints. Resolves with the suite's output when it has ended. */
function runSuite(args: readonly string[]): Promise<string> {
  const child = spawn(process.execPath, [SUITE, "authorization", ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let visited: Promise<unknown> | undefined;
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
    const [url] = /^http\S+\/authorize\?\S+(?=\s)/m.exec(output) ?? [];
    if (url !== undefined)
      visited ??= walkThroughSignIn(url, "analyst@harbor.example").then(async (callback) => fetch(callback));
  };
  return new Promise((resolve, reject) => {
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", () => void Promise.resolve(visited).then(() => resolve(output), reject));
  });
}

describe("the official conformance suite for authorization servers", () => {
  it("passes every scenario", async () => {
    const out = mkdtempSync(path.join(tmpdir(), "gatehouse-authorization-"));
    try {
      const port = await freePort();
      const clientId = await registerFor(`http://127.0.0.1:${port}/callback`);
      const resource = `${inject("origin")}/mcp`;
      const target = [
        "--url",
        inject("origin"),
        "--client-id",
        clientId,
        "--resource",
        resource,
        "--port",
        String(port),
      ];
      const output = await runSuite([...target, "-o", out]);
      const checks = readdirSync(out, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith("checks.json"))
        .flatMap((name): { id: string; status: string }[] => JSON.parse(readFileSync(path.join(out, name), "utf8")));
      expect(new Set(checks.map(({ status }) => status)), output).toEqual(new Set(["SUCCESS"]));
      for (const scenario of SCENARIOS) expect(output).toContain(scenario);
      expect(checks.length, output).toBeGreaterThanOrEqual(SCENARIOS.length);
    } finally {
      rmSync(out, { recursive: true, force: true });
    }
  }, 60_000);
});

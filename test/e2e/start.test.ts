// Tests `npm start`: its output, its refusals, and the state that survives a kill.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { networkInterfaces, tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, inject, it } from "vitest";
import { statusAtMcp, tokensFor } from "../support/oauth.ts";
import { freePort, startServer } from "../support/node/server.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");

function start(env: Record<string, string>) {
  return spawnSync(process.execPath, ["cli/main.ts", "start"], {
    cwd: ROOT,
    env: { ...process.env, ...env },
    encoding: "utf8",
    timeout: 20_000,
  });
}

describe("npm start", () => {
  it("refuses a port in use with one line, and leaves the server on that port running", async () => {
    const origin = inject("origin");
    const result = start({ PORT: new URL(origin).port, GATEHOUSE_STATE: inject("stateDir") });
    expect(result.status).toBe(1);
    expect(result.stderr.trim()).toMatch(
      /^Port \d+ is in use on this machine\. Stop the other program, or choose another port: PORT=8788 npm start$/,
    );
    expect((await fetch(origin)).status).toBe(200);
  });

  it.each(["eighty", "0", "70000", "1.5"])("refuses PORT=%s", (port) => {
    const result = start({ PORT: port });
    expect(result.status).toBe(1);
    expect(result.stderr).toContain("It takes a number from 1 to 65535.");
  });

  it("serves on both loopback addresses and on no other", async () => {
    const { port } = new URL(inject("origin"));
    const others = Object.values(networkInterfaces()).flatMap((addresses) =>
      (addresses ?? []).filter(({ family, internal }) => family === "IPv4" && !internal),
    );
    for (const { address } of others) await expect(fetch(`http://${address}:${port}/`)).rejects.toThrow();
    for (const host of ["127.0.0.1", "[::1]"]) {
      // Reached, but refused: access tokens are bound to the host name localhost.
      expect((await fetch(`http://${host}:${port}/`)).status).toBe(403);
    }
  });

  it("keeps sign-ins and data through a kill and a restart, and prints accounts and client commands", async () => {
    const stateDir = mkdtempSync(path.join(tmpdir(), "gatehouse-restart-"));
    try {
      const port = await freePort();
      const first = await startServer(port, stateDir);
      for (const text of [
        "Loading the sample organisation",
        "analyst@harbor.example",
        `claude mcp add --transport http gatehouse ${first.origin}/mcp`,
      ]) {
        expect(first.output()).toContain(text);
      }
      const { accessToken } = await tokensFor({ origin: first.origin, send: fetch }, "analyst@harbor.example");
      expect(await statusAtMcp({ origin: first.origin, send: fetch }, accessToken)).toBe(200);
      await first.stop("SIGKILL");
      const startedMs = performance.now();
      const second = await startServer(port, stateDir);
      expect(performance.now() - startedMs).toBeLessThan(10_000);
      expect(second.output()).not.toContain("Loading the sample organisation");
      expect(await statusAtMcp({ origin: second.origin, send: fetch }, accessToken)).toBe(200);
      await second.stop("SIGTERM");
    } finally {
      rmSync(stateDir, { recursive: true, force: true });
    }
  }, 60_000);
});

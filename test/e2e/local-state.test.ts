// Tests that only their owner can read the files of `npm start`: they contain data, keys, token hashes and users' statements.
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, inject, it } from "vitest";
import { makePrivate, openStateFolder } from "../../cli/project/private-files.ts";
import { hideVariables } from "../../cli/local-server/sign-in.ts";
import { openQuarantine } from "../../cli/local-server/supervisor/quarantine-file.ts";
import { tokensFor } from "../support/oauth.ts";

/** Lists files and folders below a folder that its group or other users may access. */
function listAccessible(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => existsSync(path.join(folder, name)))
    .filter((name) => (statSync(path.join(folder, name)).mode & 0o077) !== 0);
}

function modeOf(file: string): number {
  return statSync(file).mode & 0o777;
}

describe.skipIf(process.platform === "win32")("files of local state", () => {
  it("are private while the server runs", async () => {
    await tokensFor({ origin: inject("origin"), send: fetch }, "analyst@harbor.example");
    const names = readdirSync(inject("stateDir"));
    for (const name of ["token-key", "sample-loaded", "port", "v3"]) expect(names).toContain(name);
    expect(listAccessible(inject("stateDir"))).toEqual([]);
  });

  it("are made private when an older version left them readable, without touching other files of the folder", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-modes-"));
    try {
      mkdirSync(path.join(folder, "v3", "d1"), { recursive: true, mode: 0o755 });
      for (const name of ["v3/d1/data.sqlite", "port", "token-key", "notes.txt"]) {
        writeFileSync(path.join(folder, name), "text");
        chmodSync(path.join(folder, name), 0o644);
      }
      openStateFolder(folder);
      expect(listAccessible(folder)).toEqual(["notes.txt"]);
      expect(modeOf(path.join(folder, "v3"))).toBe(0o700);
      expect(modeOf(path.join(folder, "v3/d1/data.sqlite"))).toBe(0o600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("are private in a folder that did not exist before", () => {
    const parent = mkdtempSync(path.join(tmpdir(), "gatehouse-modes-"));
    const umask = process.umask(0);
    try {
      const folder = path.join(parent, "new", "state");
      openStateFolder(folder);
      expect(modeOf(folder)).toBe(0o700);
      openQuarantine(folder).add({
        subject: "s",
        statement: "d",
        operation: "query",
        source: null,
        call: "c",
        atMs: 0,
      });
      expect(modeOf(path.join(folder, "refused-statements.json"))).toBe(0o600);
    } finally {
      process.umask(umask);
      rmSync(parent, { recursive: true, force: true });
    }
  });

  it("include .dev.vars, which contains secrets", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "gatehouse-modes-"));
    try {
      const file = path.join(folder, ".dev.vars");
      hideVariables(path.join(folder, "wrangler.jsonc"));
      writeFileSync(file, "OIDC_CLIENT_SECRET=secret\n");
      chmodSync(file, 0o664);
      hideVariables(path.join(folder, "wrangler.jsonc"));
      expect(modeOf(file)).toBe(0o600);
      makePrivate(file);
      expect(modeOf(file)).toBe(0o600);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

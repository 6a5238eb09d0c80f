// One process for each state folder: `npm start` refuses a folder that another process uses, and `npm run reset` deletes none.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { freePort } from "../support/node/server.ts";
import { ROOT } from "../support/node/worker.ts";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "gatehouse-reset-"));
  mkdirSync(path.join(folder, "v3/d1"), { recursive: true });
  for (const name of ["v3/d1/a.sqlite", "token-key", "port", "notes.txt"])
    writeFileSync(path.join(folder, name), "8787");
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function reset(...args: readonly string[]) {
  const env = { ...process.env, GATEHOUSE_STATE: folder };
  return spawnSync(process.execPath, ["cli/main.ts", "reset", ...args], { cwd: ROOT, env, encoding: "utf8" });
}

it("deletes the state and keeps other files of the folder", () => {
  const { status, stdout } = reset("--yes");
  expect(status).toBe(0);
  expect(stdout).toContain("Deleted the state");
  expect(readdirSync(folder)).toEqual(["notes.txt"]);
  expect(reset("--yes").stdout).toContain("Nothing to delete");
});

it("deletes nothing without --yes, and says what it would delete", () => {
  const { status, stderr } = reset();
  expect(status).toBe(1);
  expect(stderr).toContain("npm run reset -- --yes");
  expect(readdirSync(folder)).toHaveLength(4);
});

it("deletes nothing while a process uses the state, and does when that process was killed", async () => {
  const server = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  writeFileSync(path.join(folder, "pid"), String(server.pid));
  const refused = reset("--yes");
  expect(refused.status).toBe(1);
  expect(refused.stderr).toContain(`process ${server.pid}`);
  expect(readdirSync(folder)).toHaveLength(5);
  server.kill("SIGKILL");
  await once(server, "exit");
  expect(reset("--yes").status).toBe(0);
  expect(readdirSync(folder)).toEqual(["notes.txt"]);
});

it("lets npm start refuse a state that another process uses, and leaves it to that process", async () => {
  writeFileSync(path.join(folder, "pid"), String(process.pid));
  const env = { ...process.env, GATEHOUSE_STATE: folder, PORT: String(await freePort()) };
  const { status, stderr } = spawnSync(process.execPath, ["cli/main.ts", "start"], {
    cwd: ROOT,
    env,
    encoding: "utf8",
  });
  expect(status).toBe(1);
  expect(stderr).toContain(`npm start in process ${process.pid} already serves the state`);
  expect(readFileSync(path.join(folder, "pid"), "utf8")).toBe(String(process.pid));
});

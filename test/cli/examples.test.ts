// Follows the steps under "Try it" of two examples' READMEs in a copy of the repository, with a real server, client and program. The
// other examples have the same first steps, which test/repo/examples.test.ts checks.
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeBlocks } from "../support/markdown.ts";
import { connectAs } from "../support/node/clients.ts";
import { copyRepository } from "../support/node/copy.ts";
import { freePort } from "../support/node/server.ts";
import { ROOT, runProcess } from "../support/node/worker.ts";
import type { WorkerProcess } from "../support/node/worker.ts";

/** `npm run token` starts wrangler several times. */
const SLOW = { timeout: 120_000 };
const run = promisify(execFile);
const dir = mkdtempSync(path.join(tmpdir(), "gatehouse-examples-"));
const readmeOf = (name: string): string => readFileSync(path.join(ROOT, "examples", name, "README.md"), "utf8");

afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A copy of the repository, to which the first two steps of the example's README were applied. */
async function copyWithExample(name: string): Promise<string> {
  const copy = path.join(dir, name);
  await copyRepository(copy);
  const [database = ""] = codeBlocks(readmeOf(name), "jsonc");
  const [policy = ""] = codeBlocks(readmeOf(name), "ts");
  const wrangler = path.join(copy, "wrangler.jsonc");
  writeFileSync(
    wrangler,
    readFileSync(wrangler, "utf8").replace('"d1_databases": [', (list) => `${list}\n${database}`),
  );
  writeFileSync(path.join(copy, "src/gatehouse.config.ts"), policy);
  return copy;
}

async function startServer(cwd: string): Promise<WorkerProcess> {
  const port = String(await freePort());
  return runProcess(["cli/main.ts", "start"], { PORT: port }, "Press Ctrl+C to stop.", `http://localhost:${port}`, cwd);
}

/** Runs a command of a README, without npm's pre scripts, which would install packages into the copy. */
async function runCommand(cwd: string, command: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const direct = command.replace(
    /^npm run (\S+) --/,
    (_, name: string) => `node cli/main.ts ${name.replace(":", "-")}`,
  );
  const { stdout } = await run("sh", ["-c", direct], { cwd, env: { ...process.env, ...env } });
  return stdout;
}

/** Lists the commands of the block of shell code in an example's README. */
function listCommands(name: string): readonly string[] {
  const [block = ""] = codeBlocks(readmeOf(name), "sh");
  return block.trimEnd().split("\n");
}

describe("the steps of examples/personal-access-token/README.md", () => {
  let copy = "";
  let server: WorkerProcess | undefined;

  beforeAll(async () => {
    copy = await copyWithExample("personal-access-token");
    server = await startServer(copy);
  }, 60_000);

  afterAll(async () => server?.stop("SIGTERM"));

  it("create a personal access token, with which the program prints what the README shows", SLOW, async () => {
    const origin = server?.origin ?? "";
    const client = await connectAs("sdk v2, 2026", `${origin}/mcp`, "omar@example.com");
    const sql = "SELECT status, count(*) FROM orders GROUP BY status";
    const asked = await client.call("query", { source: "shop", sql });
    expect(asked.structured).toMatchObject({
      rows: [
        ["placed", 2],
        ["shipped", 1],
      ],
    });
    await client.close();

    const [, create = "", runProgram = ""] = listCommands("personal-access-token");
    const pat = (await runCommand(copy, create)).trimEnd().split("\n").at(-1) ?? "";
    expect(pat).toMatch(/^gth_/);
    const printed = await runCommand(copy, runProgram.replace("gth_…", pat), { GATEHOUSE_URL: origin });
    expect([printed]).toEqual(codeBlocks(readmeOf("personal-access-token"), "console"));
  });
});

describe("the steps of examples/custom-tool/README.md", () => {
  let copy = "";
  let server: WorkerProcess | undefined;

  beforeAll(async () => {
    copy = await copyWithExample("custom-tool");
    for (const command of listCommands("custom-tool")) await runCommand(copy, command);
    server = await startServer(copy);
  }, 60_000);

  afterAll(async () => server?.stop("SIGTERM"));

  it("add a tool that gives each user what their roles open", async () => {
    for (const [email, expected] of [
      ["fay@example.com", [102, 103]],
      ["nora@example.com", [103]],
    ] as const) {
      const client = await connectAs("sdk v2, 2026", `${server?.origin}/mcp`, email);
      expect(await client.toolNames()).toEqual([
        "search",
        "fetch",
        "describe",
        "query",
        "change",
        "undo",
        "overdue-invoices",
      ]);
      const { structured } = await client.call("overdue-invoices", { day: "2026-07-01" });
      const rows: unknown = Reflect.get(Object(structured), "rows");
      expect(rows).toMatchObject(expected.map((id) => expect.arrayContaining([id])));
      await client.close();
    }
  });
});

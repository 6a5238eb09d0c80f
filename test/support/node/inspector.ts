// Runs the official Inspector's command line with an access token in the Authorization header. Each call is a process of its own.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { ROOT } from "./worker.ts";

const BIN = path.join(ROOT, "node_modules/.bin/mcp-inspector");
const run = promisify(execFile);

/** The command line with one server and one access token. */
export interface Inspector {
  /** Runs a method, and returns what the command prints. Rejects unless it exits with 0. */
  run(method: string, ...args: readonly string[]): Promise<string>;
  /** Calls a tool, and returns its result. */
  call(tool: string, args: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>>;
}

export function createInspector(resource: string, accessToken: string): Inspector {
  const server = ["--cli", resource, "--transport", "http", "--header", `Authorization: Bearer ${accessToken}`];
  const inspector: Inspector = {
    async run(method, ...args) {
      const all = [BIN, ...server, "--method", method, ...args];
      return (await run(process.execPath, all, { timeout: 25_000 })).stdout;
    },
    async call(tool, args) {
      const pairs = Object.entries(args).flatMap(([name, value]) => [
        "--tool-arg",
        `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`,
      ]);
      return JSON.parse(await inspector.run("tools/call", "--tool-name", tool, ...pairs));
    },
  };
  return inspector;
}

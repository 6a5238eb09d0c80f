// Runs the real Claude Code at a pinned version, with its own home folder and without network access. It is downloaded when a test first
// needs it and cached in node_modules/.cache: as a devDependency it would add 400 MB to every clone.
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { PlayedModel } from "./played-model.ts";
import { ROOT } from "./worker.ts";

const VERSION = "2.1.332";
const FOLDER = path.join(ROOT, "node_modules/.cache", `claude-code-${VERSION}`);
const PROGRAM = path.join(FOLDER, "node_modules/@anthropic-ai/claude-code/cli-wrapper.cjs");

const run = promisify(execFile);

/** An installation with its own home folder. */
export interface ClaudeCode {
  /** Runs a command in the home folder and returns its output. Rejects unless the command exits with 0. */
  run(...args: readonly string[]): Promise<string>;
  /** Runs `claude mcp list` with PORT set, in a folder whose project servers the user has approved. */
  serversOf(folder: string, port: string): Promise<string>;
  /** Starts a session without a terminal, in which the model is played and may call these tools. */
  ask(question: string, model: PlayedModel, allowedTools: readonly string[]): ClaudeSession;
  /** Deletes the home folder. */
  remove(): void;
}

/** A question that the program works on. */
export interface ClaudeSession {
  /** What the program prints when the model's turn ends. Rejects with its output unless it exits with 0. */
  readonly answer: Promise<string>;
  /** Ends the program if it still runs, and waits until it has ended. */
  stop(): Promise<void>;
}

/** Downloads the program unless it is cached. Returns why that failed, or undefined. Throws in CI instead. */
export async function fetchClaudeCode(): Promise<string | undefined> {
  if (existsSync(PROGRAM)) return undefined;
  mkdirSync(path.dirname(FOLDER), { recursive: true });
  // Several test files may download it at the same time, so each does so into a folder of its own.
  const download = mkdtempSync(`${FOLDER}-`);
  const args = ["install", "--prefix", download, "--ignore-scripts", "--no-package-lock", "--no-fund", "--no-audit"];
  try {
    await run("npm", [...args, "--loglevel=error", `@anthropic-ai/claude-code@${VERSION}`]);
    if (!existsSync(PROGRAM)) renameSync(download, FOLDER);
    return undefined;
  } catch (error) {
    const reason = `Claude Code ${VERSION} cannot be downloaded from the npm registry`;
    // Without a network this test is skipped on a developer's machine, but CI must not pass without it.
    if (process.env["CI"] !== undefined) throw new Error(reason, { cause: error });
    return reason;
  } finally {
    rmSync(download, { recursive: true, force: true });
  }
}

/** Creates an empty home folder. Requests to other machines go to a proxy that does not exist. */
export function createClaudeCode(): ClaudeCode {
  const home = mkdtempSync(path.join(tmpdir(), "gatehouse-claude-"));
  const nowhere = "http://127.0.0.1:9";
  const env = {
    PATH: process.env["PATH"] ?? "",
    HOME: home,
    TMPDIR: home,
    HTTP_PROXY: nowhere,
    HTTPS_PROXY: nowhere,
    NO_PROXY: "localhost,127.0.0.1,::1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  };
  const claude = async (cwd: string, variables: Record<string, string>, args: readonly string[]): Promise<string> => {
    const { stdout } = await run(process.execPath, [PROGRAM, ...args], { cwd, env: { ...env, ...variables } });
    return stdout;
  };
  return {
    run: async (...args) => claude(home, {}, args),
    async serversOf(folder, port) {
      const settings = path.join(home, "approving");
      mkdirSync(settings);
      writeFileSync(path.join(settings, "settings.json"), JSON.stringify({ enableAllProjectMcpServers: true }));
      return claude(folder, { CLAUDE_CONFIG_DIR: settings, PORT: port }, ["mcp", "list"]);
    },
    ask(question, model, allowedTools) {
      const args = ["-p", question, "--allowedTools", allowedTools.join(",")];
      return startSession(home, args, { ...env, ANTHROPIC_BASE_URL: model.url, ANTHROPIC_API_KEY: "a key of tests" });
    },
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

function startSession(cwd: string, args: readonly string[], env: Record<string, string>): ClaudeSession {
  // A process group, because the program starts another one.
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    cwd,
    env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  const readAnswer = async (): Promise<string> => {
    const [stdout, stderr, [status]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
    if (status !== 0) throw new Error(`Claude Code ended with ${status}:\n${stdout}${stderr}`);
    return stdout;
  };
  return {
    answer: readAnswer(),
    stop: async () => {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
        process.kill(-child.pid, "SIGTERM");
      await closed;
    },
  };
}

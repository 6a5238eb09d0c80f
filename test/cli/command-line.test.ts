// Tests the program itself: help of every command, wrong usage, exit codes, and what goes to which output.
import { execFileSync } from "node:child_process";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { CliError } from "../../cli/kit/cli-error.ts";
import { CliCommand, PROGRAM, runProgram } from "../../cli/kit/command.ts";
import { show } from "../../cli/kit/output.ts";
import { createProgram } from "../../cli/program.ts";
import { AppError } from "../../src/errors.ts";

const ROOT = path.resolve(import.meta.dirname, "../..");
const scripts: Readonly<Record<string, string>> = packageJson.scripts;

interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program in this process, and collects what it prints. */
async function run(args: readonly string[], program: CliCommand = createProgram()): Promise<Ran> {
  const printed = { log: "", error: "" };
  for (const name of ["log", "error"] as const)
    vi.spyOn(console, name).mockImplementation((text: unknown) => void (printed[name] += `${String(text)}\n`));
  const exitCode = await runProgram(program, args);
  return { exitCode, stdout: printed.log, stderr: printed.error };
}

/** A program with one command, whose action is `work`. */
function programOf(work: () => void): CliCommand {
  const program = new CliCommand(PROGRAM);
  program.command("try").action(work);
  return program;
}

afterEach(() => void vi.restoreAllMocks());

/** The words that name each command and group, such as `member add`. */
function listCommands(program: CliCommand, before: readonly string[] = []): readonly (readonly string[])[] {
  return program.commands.flatMap((command) => {
    const words = [...before, command.name()];
    return command instanceof CliCommand ? [words, ...listCommands(command, words)] : [];
  });
}

const COMMANDS = listCommands(createProgram()).map((words) => words.join(" "));

describe("the help", () => {
  it("lists every command of the program, also without arguments", async () => {
    const asked = await run(["--help"]);
    for (const name of COMMANDS.filter((command) => !command.includes(" ")))
      expect(asked.stdout).toMatch(new RegExp(`^  ${name} .*[A-Z]`, "m"));
    expect(asked).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await run([])).toEqual(asked);
  });

  it.each(COMMANDS)("of %s has a description, and an example that is a command of package.json", async (command) => {
    const { exitCode, stdout, stderr } = await run([...command.split(" "), "--help"]);
    expect(stdout).toContain(`Usage: npm run gatehouse -- ${command}`);
    expect(stdout).toMatch(/\n\n[A-Z][^]*?\.\n\n/);
    const [, examples = ""] = stdout.split(/\nExamples?:\n/);
    const lines = examples.trim().split("\n");
    for (const line of lines) {
      const [, name = "", args = ""] = /^ *npm (?:run )?([a-z:]+)(?: -- (.+))?$/.exec(line) ?? [];
      const runs = name === "gatehouse" ? `${scripts[name] ?? ""} ${args.split(" ")[0] ?? ""}` : scripts[name];
      expect(runs, line).toBe(`${name === "start" ? "exec " : ""}node cli/main.ts ${command.split(" ")[0] ?? ""}`);
    }
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  });

  it("shows the version of package.json with --version", async () => {
    expect(await run(["--version"])).toEqual({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: "" });
  });
});

describe("wrong usage exits with 2, and prints to standard error", () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ["an unknown command", ["membr", "list"], ["Unknown command 'membr'. Did you mean member?"]],
    ["the help of an unknown command", ["tokn", "--help"], ["Unknown command 'tokn'. Did you mean token?"]],
    ["the help of an unknown subcommand", ["token", "-h", "creat"], ["Unknown command 'creat'. Did you mean create?"]],
    ["an unknown subcommand", ["token", "creat"], ["Unknown command 'creat'. Did you mean create?"]],
    ["an unknown option", ["member", "list", "--jsn"], ["Unknown option '--jsn'. Did you mean --json?"]],
    [
      "an option of another command",
      ["member", "add", "a@x.example", "r", "--days", "3"],
      ["Unknown option '--days'."],
    ],
    ["a missing argument", ["member", "add", "a@x.example"], ["Missing required argument 'role'."]],
    ["a missing option", ["token", "create", "x", "--owner", "a@x.example"], ["option '--role <name>' not specified."]],
    ["an option without its value", ["deploy", "--env"], ["Option '--env <name>' argument missing."]],
    ["too many arguments", ["reset", "now"], ["Too many arguments for 'reset'."]],
    ["a group without a command", ["policy"], ["Usage: npm run gatehouse -- policy", "check", "explain", "diff"]],
    ["an argument of invalid form", ["doctor", "nope"], ["Give the URL of a deployment"]],
  ])("%s: %j", async (_name, args, texts) => {
    const { exitCode, stdout, stderr } = await run(args);
    for (const text of texts) expect(stderr).toContain(text);
    expect(stderr).toMatch(/npm run /);
    expect(stderr).not.toContain("    at ");
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: "" });
  });

  it("names an example and the help of the command", async () => {
    const { stderr } = await run(["member", "add"]);
    expect(stderr).toContain("Example: npm run member -- add ann@example.com analyst\n");
    expect(stderr).toContain("Help: npm run gatehouse -- member add --help\n");
  });

  it("escapes control characters of an argument", async () => {
    const { stderr } = await run(["a\u001b[2Kb"]);
    expect(stderr).toContain("Unknown command 'aU+001B[2Kb'.");
  });
});

describe("a failed command", () => {
  const thrower = (error: unknown) => () => {
    throw error;
  };

  it("exits with 1 and prints a CliError with its hint, without a stack", async () => {
    const error = new CliError("There is no state.", { hint: "Run npm start first." });
    expect(await run(["try"], programOf(thrower(error)))).toEqual({
      exitCode: 1,
      stdout: "",
      stderr: "There is no state.\nRun npm start first.\n",
    });
  });

  it("exits with 1 and prints the message of an AppError, and of an error of the machine", async () => {
    const refused = await run(["try"], programOf(thrower(new AppError("invalid_input", "There is no role x."))));
    expect(refused).toEqual({ exitCode: 1, stdout: "", stderr: "There is no role x.\n" });
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    expect(await run(["try"], programOf(thrower(full)))).toMatchObject({ exitCode: 1, stderr: `${full.message}\n` });
  });

  it.each([new TypeError("x is undefined"), new Error("unforeseen"), "text"])(
    "exits with 70 and prints the stack of a defect: %s",
    async (error) => {
      const { exitCode, stdout, stderr } = await run(["try"], programOf(thrower(error)));
      expect({ exitCode, stdout }).toEqual({ exitCode: 70, stdout: "" });
      expect(stderr).toContain(error instanceof Error ? `${error.name}: ${error.message}\n    at ` : error);
    },
  );

  it("ends the process with its exit code", () => {
    const ended = (...args: readonly string[]): unknown => {
      try {
        execFileSync(process.execPath, ["cli/main.ts", ...args], { cwd: ROOT, stdio: "ignore" });
        return 0;
      } catch (error) {
        return Object(error).status;
      }
    };
    expect(ended("--version")).toBe(0);
    expect(ended("nope")).toBe(2);
  });
});

describe("--json", () => {
  it("prints JSON that holds the text exactly, without a character that a terminal acts on", async () => {
    const data = { name: "a\u001b[2K\u009b1A\u202eb\u{1f600}é", empty: null };
    const { stdout } = await run(
      ["try"],
      programOf(() => show({ lines: ["for people"], data }, true)),
    );
    expect(stdout).toMatch(/^[\n -~]*$/);
    expect(JSON.parse(stdout)).toEqual(data);
  });

  it.each([
    ["policy", "check", "--sample"],
    ["policy", "explain", "support@harbor.example", "shop.customers", "--sample"],
    ["policy", "diff", "HEAD", "--sample"],
  ])("is the only output of %s %s", (...args) => {
    // In a process of its own: the policy's check loads SQLite, which only Node can load as the Worker does.
    const env = { ...process.env, GATEHOUSE_STATE: "/nonexistent" };
    const argv = ["cli/main.ts", ...args, "--json"];
    const stdout = execFileSync(process.execPath, argv, { cwd: ROOT, env, encoding: "utf8" });
    expect(JSON.parse(stdout)).toMatchObject({});
  });

  it("of policy explain has the decision, its rules and each column", async () => {
    vi.stubEnv("GATEHOUSE_STATE", "/nonexistent");
    const question = ["policy", "explain", "support@harbor.example", "shop.customers", "email", "--sample", "--json"];
    const { stdout } = await run(question);
    vi.unstubAllEnvs();
    expect(JSON.parse(stdout)).toMatchObject({
      email: "support@harbor.example",
      roles: ["support"],
      dataset: "shop.customers",
      allowed: true,
      denied: null,
      grants: [{ rule: "support/allow/read/shop.customers", rows: "region = 'north'" }],
      columns: [
        { name: "email", shownAs: "clear", grants: [{ rule: "support/allow/read/shop.customers", shownAs: "clear" }] },
      ],
    });
  });
});

describe("the name gatehouse, which another project has on npm", () => {
  it("is not run with npx by any document or message, and the package stays private", () => {
    const found = execFileSync("git", ["ls-files", "README.md", "docs", "src", "cli", "plugin", "examples"], {
      cwd: ROOT,
    })
      .toString()
      .trim()
      .split("\n")
      .filter((file) => /\bnpx gatehouse\b/.test(execFileSync("git", ["show", `:${file}`], { cwd: ROOT }).toString()));
    expect(found).toEqual([]);
    expect(packageJson.private).toBe(true);
  });
});

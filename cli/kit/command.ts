// Every command of the command line is a `CliCommand`: commander's command with our messages for wrong usage, and examples in its help.
import { Command, CommanderError } from "commander";
import { AppError } from "../../src/errors.ts";
import { CliError, EXIT_CODES, usageError } from "./cli-error.ts";
import type { ExitCode } from "./cli-error.ts";
import { printAside, printDefect, printFailure, printHelp } from "./terminal.ts";

/** How operators start the command line. The npm name `gatehouse` belongs to another project, so `npx` would run that. */
export const PROGRAM = "npm run gatehouse --";

/** Options that most commands take. */
export const JSON_OPTION = ["--json", "print JSON for a program; nothing else is printed to standard output"] as const;

/** A command with examples in its help. Wrong usage throws `CliError` with exit code 2. */
export class CliCommand extends Command {
  #examples: readonly string[] = [];

  constructor(name?: string) {
    super(name);
    this.configureOutput({ writeOut: printHelp, writeErr: (text) => printAside(text.trimEnd()) });
    this.exitOverride();
    this.helpCommand(false);
    this.helpOption("-h, --help", "show this help");
  }

  override createCommand(name?: string): CliCommand {
    return new CliCommand(name);
  }

  /** Adds examples to the help. A message about wrong usage shows the first one. */
  examples(...lines: readonly string[]): this {
    this.#examples = lines;
    const title = lines.length === 1 ? "Example:" : "Examples:";
    return this.addHelpText("after", `\n${[title, ...lines.map((line) => `  ${line}`)].join("\n")}`);
  }

  /** Commander calls this for every kind of wrong usage. */
  override error(message: string): never {
    const [example] = this.#examples;
    const help = `Help: ${commandLineOf(this)} --help`;
    throw usageError(rephrase(message), example === undefined ? help : `Example: ${example}\n${help}`);
  }
}

function commandLineOf(command: Command): string {
  return command.parent === null ? command.name() : `${commandLineOf(command.parent)} ${command.name()}`;
}

/** Turns `error: unknown option '--jsn'\n(Did you mean --json?)` into `Unknown option '--jsn'. Did you mean --json?`. */
function rephrase(message: string): string {
  const [first = "", suggestion] = message.replace(/^error: /, "").split("\n");
  const problem = `${first.charAt(0).toUpperCase()}${first.slice(1).replace(/\.$/, "")}.`;
  return suggestion === undefined ? problem : `${problem} ${suggestion.replace(/^\((.*)\)$/, "$1")}`;
}

/** Runs the program with these arguments, prints why it failed, and returns the exit code. */
export async function runProgram(program: CliCommand, args: readonly string[]): Promise<ExitCode> {
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync(withoutVainHelp(program, args), { from: "user" });
    return EXIT_CODES.ok;
  } catch (error) {
    return reportFailure(error);
  }
}

/** Leaves out --help after an unknown command, for which commander would show the help of the group around it. */
function withoutVainHelp(program: CliCommand, args: readonly string[]): readonly string[] {
  let group: Command = program;
  for (const arg of args.filter((candidate) => !candidate.startsWith("-"))) {
    if (group.commands.length === 0) return args;
    const command = group.commands.find((candidate) => candidate.name() === arg);
    if (command === undefined) return args.filter((candidate) => candidate !== "--help" && candidate !== "-h");
    group = command;
  }
  return args;
}

/** Prints a failure: a problem with its next step, a defect with its stack. */
export function reportFailure(error: unknown): ExitCode {
  // Commander has printed the help, which was asked for, or which a group of commands shows when none of them is named.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  if (error instanceof CliError) {
    printFailure(error);
    if (error.hint !== undefined) printAside(error.hint);
    return error.exitCode;
  }
  if (error instanceof AppError || isOfMachine(error) || isOfWrangler(error)) {
    printFailure(error);
    return EXIT_CODES.problem;
  }
  printDefect(error);
  return EXIT_CODES.defect;
}

/** Errors of the operating system that a change of the machine fixes, such as a full disk. Another code, such as ENOENT, is a defect. */
const MACHINE_CODES: readonly unknown[] = ["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EMFILE", "EADDRINUSE"];

function isOfMachine(error: unknown): boolean {
  return error instanceof Error && "code" in error && MACHINE_CODES.includes(error.code);
}

/** wrangler's own class for what its users can fix, such as an invalid wrangler.jsonc. It does not export the class. */
function isOfWrangler(error: unknown): boolean {
  return error instanceof Error && ["UserError", "ParseError", "ConfigError"].includes(error.name);
}

/** Collects the values of an option that may be given several times. */
export function collect(value: string, values: readonly string[]): readonly string[] {
  return [...values, value];
}

// Prints the output of commands. It contains names chosen by other parties (users, clients, files, a server that the doctor examines),
// and an escape sequence in a name could rewrite the operator's terminal, so every command prints through this module.
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { inspect, styleText } from "node:util";
import { AppError } from "../../src/errors.ts";
import { describeError, escapeInvisible, escapeJson } from "../../src/lib/visible-text.ts";

/** Prints a list. Each entry stays on one line, even when a name in it contains a line break. */
export function printLines(lines: readonly string[]): void {
  console.log(lines.map(escapeInvisible).join("\n"));
}

/** Prints text, with its line breaks and tabs. */
export function print(text: string): void {
  console.log(escapeText(text));
}

/** Prints text to standard error, such as why something was skipped. */
export function printAside(text: string): void {
  console.error(escapeText(text));
}

/** Prints help. Its texts are ours, and it ends with a line break. */
export function printHelp(text: string): void {
  print(text.trimEnd());
}

/** Prints JSON that holds ASCII only: other characters are escaped as JSON does it, so that none acts on a terminal. */
export function printJson(data: unknown): void {
  console.log(escapeJson(JSON.stringify(data, null, 2)));
}

/** Prints a long output piece by piece, as fast as it is read. The pieces must be escaped. Ends early when the reader is gone. */
export async function printPieces(pieces: AsyncIterable<string>): Promise<void> {
  try {
    await pipeline(Readable.from(pieces), process.stdout, { end: false });
  } catch (error) {
    // The reader has what it wanted, as in `… | head`.
    if (!(error instanceof Error && "code" in error && error.code === "EPIPE")) throw error;
  }
}

/** Prints a line of the server's log; errors in red to standard error. */
export function printLog(text: string, isError: boolean): void {
  if (isError) console.error(styleText("red", escapeText(text), { stream: process.stderr }));
  else console.log(escapeText(text));
}

/** Prints why a command failed: the message without a stack, for the operator who can fix the cause. */
export function printFailure(error: unknown): void {
  if (error instanceof Error) printAside(error instanceof AppError ? error.publicMessage : error.message);
  else printAside(inspect(error));
}

/** Prints a defect of this code, with its stack. */
export function printDefect(error: unknown): void {
  printAside(describeError(error));
}

function escapeText(text: string): string {
  return text.replaceAll(/[^\n\t]+/g, escapeInvisible);
}

// What commands print. Names in it were chosen by others (owners of access tokens, clients, files, accounts, a server that the doctor
// looks at), and ESC in one would rewrite the operator's terminal: so every command prints through here.
import { inspect, styleText } from "node:util";
import { AppError } from "../src/errors.ts";
import { describeError, escapeInvisible } from "../src/lib/visible-text.ts";

/** Prints lines of a list: each is one line, also where a name in it has a line end. */
export function printLines(lines: readonly string[]): void {
  console.log(lines.map(escapeInvisible).join("\n"));
}

/** Prints text that has lines and tabs of its own. */
export function print(text: string): void {
  console.log(escapeText(text));
}

/** Prints text beside the output, such as why something was skipped. */
export function printAside(text: string): void {
  console.error(escapeText(text));
}

/** Prints a line of the server's log, in red where it is an error. */
export function printLog(text: string, isError: boolean): void {
  if (isError) console.error(styleText("red", escapeText(text), { stream: process.stderr }));
  else console.log(escapeText(text));
}

/** Prints why a command failed, for the person who can mend it: the message alone. */
export function printFailure(error: unknown): void {
  if (error instanceof Error) printAside(error instanceof AppError ? error.publicMessage : error.message);
  else printAside(inspect(error));
}

/** Prints an error of our own, with the place where it was thrown. */
export function printDefect(error: unknown): void {
  printAside(describeError(error));
}

function escapeText(text: string): string {
  return text.replaceAll(/[^\n\t]+/g, escapeInvisible);
}

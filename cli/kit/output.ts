// What a command prints: lines for a person, or with --json data for a program.
import { print, printAside, printJson, printLines } from "./terminal.ts";

/** The result of a command in both forms. docs/command-line.md lists the fields of `data`, which programs rely on. */
export interface Output {
  readonly lines: readonly string[];
  readonly data: unknown;
}

/** Prints the result of a command to standard output. */
export function show({ lines, data }: Output, isJson: boolean | undefined): void {
  if (isJson === true) printJson(data);
  else printLines(lines);
}

/** Chooses where a command says what it is doing: with --json, standard output holds the result only. */
export function progressPrinter(isJson: boolean | undefined): (text: string) => void {
  return isJson === true ? printAside : print;
}

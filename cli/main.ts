// The entry of `npm run gatehouse -- <command>`: runs a command and ends with its exit code.
import { EXIT_CODES } from "./kit/cli-error.ts";
import { runProgram } from "./kit/command.ts";
import { createProgram } from "./program.ts";

const exitCode = await runProgram(createProgram(), process.argv.slice(2));
// A failed command may leave a runtime or a connection open, which would keep the process alive.
if (exitCode !== EXIT_CODES.ok) process.exit(exitCode);

// The entry of `npm run gatehouse -- <command>`: runs a command and ends with its exit code.
import { enableCompileCache } from "node:module";

// Node keeps the compiled code of the modules imported from here on, which saves half a second of each later command.
enableCompileCache();
const { EXIT_CODES } = await import("./kit/cli-error.ts");
const { runProgram } = await import("./kit/command.ts");
const { createProgram } = await import("./program.ts");

const exitCode = await runProgram(createProgram(), process.argv.slice(2));
// A failed command may leave a runtime or a connection open, which would keep the process alive.
if (exitCode !== EXIT_CODES.ok) process.exit(exitCode);

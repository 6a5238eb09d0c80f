// Detects a debugger attached to this process or to workerd: it may pause them on purpose, so a silent server is then not restarted.
import { readFileSync } from "node:fs";
import inspector from "node:inspector";

/** Whether this Node's inspector is open or, on Linux, another process (gdb, lldb, strace) traces workerd. */
export function isDebuggerAttached(): boolean {
  return inspector.url() !== undefined || childIds().some(isTraced);
}

function childIds(): readonly string[] {
  return procText(`${process.pid}/task/${process.pid}/children`)
    .split(" ")
    .filter((id) => id !== "");
}

function isTraced(processId: string): boolean {
  return /^TracerPid:\t[1-9]/m.test(procText(`${processId}/status`));
}

/** Reads a file of /proc; empty on other systems, and for a process that has just ended. */
function procText(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, "utf8");
  } catch {
    return "";
  }
}

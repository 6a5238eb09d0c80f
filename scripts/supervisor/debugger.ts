// Whether a debugger is attached to this process or to workerd, in which both may stand still on purpose.
import { readFileSync } from "node:fs";
import inspector from "node:inspector";

/** Of this Node: its inspector is open. Of workerd, on Linux: another process traces it (gdb, lldb, strace). */
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

/** Empty where there is no such file: on other systems, and of a process that has just ended. */
function procText(name: string): string {
  try {
    return readFileSync(`/proc/${name}`, "utf8");
  } catch {
    return "";
  }
}

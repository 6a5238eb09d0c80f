// Records that a command reads the audit log, before it prints anything. The Worker moves these records into a ledger of their own.
import { hostname, userInfo } from "node:os";
import { newId } from "../../src/lib/ids.ts";
import { CliError } from "../kit/cli-error.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";

/** A command that reads. Each method throws `CliError` when it cannot be recorded: then nothing may be printed. */
export interface RecordedRead {
  /** Counts records that are about to be printed. */
  add(rows: number): Promise<void>;
  /** Says that nothing more is printed. */
  end(): Promise<void>;
}

/** How often a command that prints nothing for long says that it still works. */
const TOUCH_INTERVAL_MS = 300_000;

/** Begins a read. `filters`: what the operator typed; undefined values are left out. */
export async function beginRead(
  { operatorReads }: Pick<OwnDatabase, "operatorReads">,
  command: string,
  filters: object,
): Promise<RecordedRead> {
  const id = newId();
  await requireRecorded(
    operatorReads.begin(
      { id, operator: describeOperator(), request: JSON.stringify({ command, ...filters }) },
      Date.now(),
    ),
  );
  return {
    async add(rows) {
      if (!(await requireRecorded(operatorReads.addRows(id, rows, Date.now()))))
        throw new CliError(
          "The command printed nothing for more than an hour, so its record was closed. Run it again.",
        );
    },
    end: async () => requireRecorded(operatorReads.end(id)),
  };
}

/** Records a read whose result is printed at once: `rows` is how many records it has. Work that may take long calls `touch`. */
export async function withRecordedRead<T>(
  database: Pick<OwnDatabase, "operatorReads">,
  command: string,
  filters: object,
  work: (touch: () => Promise<void>) => Promise<{ readonly result: T; readonly rows: number }>,
): Promise<T> {
  const read = await beginRead(database, command, filters);
  let touchedMs = Date.now();
  const touch = async (): Promise<void> => {
    if (Date.now() - touchedMs < TOUCH_INTERVAL_MS) return;
    touchedMs = Date.now();
    await read.add(0);
  };
  try {
    const { result, rows } = await work(touch);
    await read.add(rows);
    await read.end();
    return result;
  } catch (error) {
    // The first error says what was wrong.
    await Promise.allSettled([read.end()]);
    throw error;
  }
}

async function requireRecorded<T>(recording: Promise<T>): Promise<T> {
  try {
    return await recording;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(`This read of the audit log cannot be recorded, so nothing is printed: ${reason}`, {
      hint: "It needs write access to GATEHOUSE_DB, with all migrations of this version applied.",
      cause,
    });
  }
}

/** Names the operator as this machine does. Nothing proves the name. */
function describeOperator(): string {
  return `${readUserName()}@${hostname()}`;
}

function readUserName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user without an entry in the system's list, as in some containers.
    return `uid ${process.getuid?.() ?? "unknown"}`;
  }
}

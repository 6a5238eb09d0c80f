// Checks once per isolate that GATEHOUSE_DB has a layout that this version works with: migrations and Worker are deployed one after the
// other, and either can be rolled back alone. The check never migrates.

/** The layout that this version needs: the newest file of migrations/ that breaks the version before it creates it. */
export const DATABASE_LAYOUT_NUMBER = 1;

/** How long a request waits for the number. */
const DEADLINE_MS = 1000;
/** How long a database that did not answer is not asked again. */
const RETRY_MS = 10_000;

/** What the table `layout` says. A migration that only adds changes neither number. */
interface StoredLayout {
  readonly number: number;
  /** The lowest number that a version may need and still work with this database. */
  readonly oldestReader: number;
}

/** Thrown when this version does not work with the layout of GATEHOUSE_DB. The message names the layout and the command to run. */
export class DatabaseLayoutError extends Error {
  constructor({ number, oldestReader }: StoredLayout) {
    const remedy =
      number < DATABASE_LAYOUT_NUMBER
        ? "Apply the missing migrations: run npm start on your own machine, or npm run deploy for a deployment."
        : `It works with versions that need layout ${oldestReader} or later: deploy such a version (npm run deploy). ` +
          "On your own machine you can instead delete all local state: npm run reset";
    super(
      `GATEHOUSE_DB has layout ${number}, and this version of Gatehouse needs layout ${DATABASE_LAYOUT_NUMBER}. ${remedy}`,
    );
    this.name = "DatabaseLayoutError";
  }
}

/** Checks the layout. Throws `DatabaseLayoutError`. */
type LayoutCheck = () => Promise<void>;

/** What `createLayoutCheck` needs. */
interface LayoutCheckOptions {
  readonly database: D1Database;
  /** Returns milliseconds since the epoch. */
  readonly now: () => number;
  readonly onError: (error: unknown) => void;
}

/**
 * Creates a check that queries the database until the layout was right once. If the database does not answer in time, the check calls
 * `onError` and passes for a while, because most requests do not need the database.
 */
export function createLayoutCheck({ database, now, onError }: LayoutCheckOptions): LayoutCheck {
  // Requests do not share a promise: when the platform cancels the request that created it, the promise never settles.
  let nextCheckMs = 0;
  return async () => {
    if (now() < nextCheckMs) return;
    let layout: StoredLayout;
    try {
      layout = await withDeadline(readLayout(database));
    } catch (error) {
      nextCheckMs = now() + RETRY_MS;
      onError(error);
      return;
    }
    requireKnown(layout);
    nextCheckMs = Infinity;
  };
}

/** Checks the layout once, for a command. Throws `DatabaseLayoutError`. */
export async function requireDatabaseLayout(database: D1Database): Promise<void> {
  requireKnown(await readLayout(database));
}

function requireKnown(layout: StoredLayout): void {
  if (layout.number < DATABASE_LAYOUT_NUMBER || layout.oldestReader > DATABASE_LAYOUT_NUMBER)
    throw new DatabaseLayoutError(layout);
}

/** Rejects when the work takes longer than the deadline. */
export async function withDeadline<T>(work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`the database did not answer within ${DEADLINE_MS} ms`)), DEADLINE_MS);
  });
  try {
    return await Promise.race([work, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/** Reads the layout; layout 0 when the database has no number. */
async function readLayout(database: D1Database): Promise<StoredLayout> {
  try {
    const row = await database
      .prepare("SELECT number, oldest_reader AS oldestReader FROM layout")
      .first<{ number: number; oldestReader: number }>();
    return row ?? { number: 0, oldestReader: 0 };
  } catch (cause) {
    const table = await database
      .prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'layout'")
      .first();
    if (table === null) return { number: 0, oldestReader: 0 };
    throw cause;
  }
}

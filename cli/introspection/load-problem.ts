// What went wrong while a file was loaded, as the operator reads it.

/** The database's message without the prefix and codes that D1 puts around it. */
export function messageOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/^D1_(?:EXEC_)?ERROR: /, "").replace(/: SQLITE_[A-Z]+(?: \(extended: SQLITE_\w+\))?$/, "");
}

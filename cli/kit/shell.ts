// Writes what a message shows to copy into a shell.

/** Writes an argument as a shell reads it: as it is, or in single quotes. */
export function quoteArgument(text: string): string {
  return /^[\w.@:/%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

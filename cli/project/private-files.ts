// Keeps local state (databases, keys, tokens, users' statements) private to its owner, on a machine that others may share.
import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";

/** The permission bits of the group and of other users, which private files do not have. */
const GROUP_AND_OTHERS = 0o077;
/** The mode of a private file. */
export const PRIVATE_FILE = 0o600;

/** Entries of local state in its folder. GATEHOUSE_STATE may name a folder with other files, which keep their modes and are not deleted. */
const STATE_ENTRIES = ["v3", "pid", "port", "token-key", "audit-key", "sample-loaded", "refused-statements.json"];

/** Makes every file that this process and its child processes create from now on private. */
export function keepFilesPrivate(): void {
  process.umask(GROUP_AND_OTHERS);
}

/** Does the same while `work` runs, for a command that also writes files for others, such as source code. */
export async function withPrivateFiles<T>(work: () => Promise<T>): Promise<T> {
  const before = process.umask(GROUP_AND_OTHERS);
  try {
    return await work();
  } finally {
    process.umask(before);
  }
}

/** Creates the folder of local state if needed, and makes entries private that older versions created readable. */
export function openStateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of listState(folder)) makePrivate(path.join(folder, name));
}

/** Lists the entries of a folder that are local state, those that a command was still writing included. */
export function listState(folder: string): readonly string[] {
  return readdirSync(folder).filter((name) => STATE_ENTRIES.includes(name.replace(/\.new$/, "")));
}

/** Makes a file, or a folder with its content, private. Does not follow symbolic links, which may lead outside of the state. */
export function makePrivate(target: string): void {
  const stats = lstatSync(target);
  if (stats.isSymbolicLink()) return;
  if ((stats.mode & GROUP_AND_OTHERS) !== 0) chmodSync(target, stats.mode & 0o777 & ~GROUP_AND_OTHERS);
  if (stats.isDirectory()) for (const name of readdirSync(target)) makePrivate(path.join(target, name));
}

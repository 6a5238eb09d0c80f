// Local state is its owner's alone: databases, keys, tokens and statements of people, on a machine that others may use too.
import { chmodSync, lstatSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";

/** Bits that a file's mode loses: all permissions of its group and of other users. */
const OF_OTHERS = 0o077;
export const PRIVATE_FILE = 0o600;

/** What stands in the folder of local state. It may be a folder that holds other things too: those are left alone. */
const OF_STATE = /^(?:v3|port|token-key|sample-loaded|refused-statements\.json)(?:\.new)?$/;

/** From now on, files of this process are for their owner alone, and so are those of the programs that it starts. */
export function keepFilesPrivate(): void {
  process.umask(OF_OTHERS);
}

/** The same while `work` runs, for a command that also writes files for others, such as sources. */
export async function withPrivateFiles<T>(work: () => Promise<T>): Promise<T> {
  const before = process.umask(OF_OTHERS);
  try {
    return await work();
  } finally {
    process.umask(before);
  }
}

/** Makes the folder of local state unless it is there, and takes what versions before this one left open to others. */
export function openStateFolder(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) if (OF_STATE.test(name)) makePrivate(path.join(folder, name));
}

/** Takes a file, or a folder with all that is in it, from all users but its owner. Links are left alone, as they may lead anywhere. */
export function makePrivate(target: string): void {
  const stats = lstatSync(target);
  if (stats.isSymbolicLink()) return;
  if ((stats.mode & OF_OTHERS) !== 0) chmodSync(target, stats.mode & 0o777 & ~OF_OTHERS);
  if (stats.isDirectory()) for (const name of readdirSync(target)) makePrivate(path.join(target, name));
}

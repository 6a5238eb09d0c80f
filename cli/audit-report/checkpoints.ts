// The checkpoints that stand for records which the retention removed: checks their signatures for `audit verify`.
import { countOf } from "../../src/lib/count-of.ts";
import { formatCheckpoint, verifySignature } from "../../src/audit/head-signature.ts";
import type { LedgerHeads } from "../../src/audit/verify-stored-chain.ts";
import type { OwnDatabase } from "../own-database/own-database.ts";

/** What the check found. */
export interface CheckedCheckpoints {
  /** Those with a valid signature. */
  readonly checkpoints: LedgerHeads;
  /** The newest time before which records were removed, in milliseconds since the epoch; null without a checkpoint. */
  readonly untilMs: number | null;
  readonly problems: readonly string[];
}

/** Checks all checkpoints. `key` is the public key that the operator noted. */
export async function verifyCheckpoints(
  { checkpoints }: OwnDatabase,
  key: string | undefined,
): Promise<CheckedCheckpoints> {
  const valid = new Map<string, { readonly seq: number; readonly hash: string }>();
  const problems: string[] = [];
  let untilMs: number | null = null;
  for (const { signature, key: ownKey, ...checkpoint } of await checkpoints.list()) {
    const { ledger, seq, hash } = checkpoint;
    if (await verifySignature(key ?? ownKey, formatCheckpoint(checkpoint), signature)) {
      valid.set(ledger, { seq, hash });
      untilMs = Math.max(untilMs ?? 0, checkpoint.untilMs);
    } else
      problems.push(
        `The checkpoint of the ledger ${ledger} is not signed with the key ${key ?? ownKey}: it was forged or changed.`,
      );
  }
  return { checkpoints: valid, untilMs, problems };
}

/** Says what the retention removed. */
export function describeCheckpoints({ checkpoints, untilMs }: CheckedCheckpoints): readonly string[] {
  if (untilMs === null) return [];
  const count = [...checkpoints.values()].reduce((sum, { seq }) => sum + seq, 0);
  return [
    `The retention removed ${countOf(count, "record")} from before ${new Date(untilMs).toISOString()}, as signed checkpoints of ${countOf(checkpoints.size, "ledger")} say.`,
  ];
}

// `npm run setup:void`: voids the setup code, so that a copy of it in a build log is useless. `--remote` voids the deployment's. It
// cannot be undone, but `npm run member` can give roles at any time.
import type { StoredClosing } from "../../src/members/setup-store.ts";
import { OPERATOR, withOwnDatabase } from "./own-database.ts";
import type { DatabaseChoice } from "./own-database.ts";

const MEANS: Readonly<Record<StoredClosing["reason"], string>> = {
  used: "the setup code was used",
  held: "a member had a role with administers: true",
  voided: "the setup code was voided",
};

/** Voids the setup code permanently. */
export async function voidSetupCode(choice: DatabaseChoice): Promise<readonly string[]> {
  const closing = await withOwnDatabase(choice, async ({ setup }) => {
    await setup.close({ by: OPERATOR, nowMs: Date.now(), reason: "voided" });
    return setup.findClosing();
  });
  if (closing === undefined) throw new TypeError("setup is open after it was closed");
  const { reason, closedMs } = closing;
  return [
    `Setup is closed permanently: ${MEANS[reason]} on ${new Date(closedMs).toISOString()}.`,
    "No setup code works from now on, not even a new one. npm run member -- add <email> <role> gives roles.",
  ];
}

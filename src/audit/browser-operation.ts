// Audits the operations of a user in a browser, on this server's pages or through the JSON API.
import type { Organisation } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import type { RecordPriority } from "./audit-record.ts";
import type { Identity } from "../lib/identity.ts";
import { DeniedError } from "./audit.ts";
import type { Audited, AuditedCall, WithAudit } from "./audit.ts";

/** The action of the list of a user's own personal access tokens. */
export const LIST_PATS_ACTION = "list access tokens";

/** The client id in audit records of this server's pages and API. */
export const BROWSER_CLIENT_ID = "browser";

/**
 * Runs one audited operation of a user in a browser. Operations that take access away have the priority `revocation`: an attacker who
 * fills a ledger with calls of a stolen access token must not keep its owner from revoking it.
 * Errors: `not_allowed` for a personal access token.
 */
export async function withBrowserAudit<T>(
  withAudit: WithAudit,
  identity: Identity,
  operation: string,
  requestText: string,
  work: (call: AuditedCall) => Promise<T>,
  priority: RecordPriority = "call",
): Promise<T> {
  return withAudit(
    { identity, clientId: BROWSER_CLIENT_ID },
    { operation, requestText, reservedRows: 0, lockedSource: null, priority },
    async (call) => {
      refusePat(identity);
      return toDataFreeAnswer(await work(call));
    },
  );
}

/** Refuses a personal access token. Errors: `not_allowed`. */
export function refusePat(identity: Identity): void {
  if (identity.token !== undefined)
    throw new DeniedError(
      new AppError("not_allowed", "A personal access token cannot do this. Sign in to the pages of this server."),
      [],
      [],
    );
}

/** Creates the error of a user whose roles do not include one of these. `area` begins the recorded denial, as in `members: no_role`. */
export function createNoRoleError(
  area: string,
  roles: readonly string[],
  { contact }: Pick<Organisation, "contact">,
): DeniedError {
  const allowedText = roles.length === 0 ? "No role may do this." : `Only ${roles.join(" and ")} may do this.`;
  return new DeniedError(
    new AppError("not_allowed", `${allowedText} ${contact} gives roles.`),
    [`${area}: no_role`],
    [],
  );
}

function toDataFreeAnswer<T>(answer: T): Audited<T> {
  return { answer, datasets: [], rules: [] };
}

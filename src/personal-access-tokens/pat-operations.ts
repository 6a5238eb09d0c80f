// Lists, creates and revokes the personal access tokens of a user in a browser. Each operation is audited. A personal access token
// cannot be used for these operations.
import type { Organisation } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import { hashPat, generatePat } from "./pat-text.ts";
import type { Identity } from "../lib/identity.ts";
import { escapeInvisible } from "../lib/visible-text.ts";
import { describePatCap } from "./pat-statements.ts";
import type { PatStore, ListedPat } from "./pat-store.ts";
import { LIST_PATS_ACTION, withBrowserAudit } from "../audit/browser-operation.ts";
import { DeniedError } from "../audit/audit.ts";
import type { AuditedCall, WithAudit } from "../audit/audit.ts";
import type { RoleChanges } from "../members/role-changes.ts";

/** The request to create a personal access token. */
interface PatRequest {
  /** The name that the owner gives it. */
  readonly name: string;
  readonly roles: readonly string[];
  readonly days: number;
}

/** A new personal access token. */
export interface CreatedPat extends Pick<ListedPat, "id" | "name" | "roles" | "expiresMs"> {
  /** Its text, which is shown only once and not stored. */
  readonly token: string;
}

/** The operations of a user on their personal access tokens. Errors of each: those of `withBrowserAudit`. */
export interface PatOperations {
  list(user: Identity): Promise<readonly ListedPat[]>;
  /** Creates a personal access token. Errors: `invalid_input` for a role that the user does not have or too many days; `limit_reached`. */
  create(user: Identity, request: PatRequest): Promise<CreatedPat>;
  /** Revokes a personal access token and ends its sessions. Errors: `not_found`. */
  revoke(user: Identity, id: string): Promise<void>;
}

/** What the operations need. */
interface PatDependencies {
  readonly withAudit: WithAudit;
  readonly organisation: Organisation;
  readonly pats: PatStore;
  readonly roleChanges: Pick<RoleChanges, "propagate">;
  readonly limits: {
    readonly maxActivePats: number;
    readonly maxNewPatsPerDay: number;
    readonly patMaxAgeSeconds: number;
  };
  readonly newId: () => string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Escapes the name, because personal access tokens from before names were checked may have any name. */
function withVisibleName(pat: ListedPat): ListedPat {
  return { ...pat, name: escapeInvisible(pat.name) };
}

const DAY_MS = 86_400_000;

/** Creates the operations. */
export function createPatOperations({
  withAudit,
  organisation,
  pats,
  roleChanges,
  limits,
  newId,
  now,
}: PatDependencies): PatOperations {
  const maxAgeDays = Math.floor(limits.patMaxAgeSeconds / 86_400);
  const createPat = async ({ subject }: AuditedCall, { name, roles, days }: PatRequest): Promise<CreatedPat> => {
    const missingRoles = roles.filter((role) => !subject.roles.includes(role));
    if (missingRoles.length > 0) {
      const heldRolesText = subject.roles.length === 0 ? "You have none." : `You have: ${subject.roles.join(", ")}.`;
      const message = [
        "A personal access token can have only roles that you have, and",
        `you do not have ${missingRoles.join(", ")}. ${heldRolesText} ${organisation.contact} gives roles.`,
      ].join(" ");
      throw new DeniedError(
        new AppError("invalid_input", message),
        missingRoles.map((role) => `${role}: no_role`),
        [],
      );
    }
    if (days > maxAgeDays)
      throw new AppError("invalid_input", `A personal access token can be valid for at most ${maxAgeDays} days.`);
    const nowMs = now();
    const [id, token] = [newId(), generatePat()];
    const expiresMs = nowMs + days * DAY_MS;
    const newPat = { id, hash: await hashPat(token), ownerId: subject.subjectId, name, roles, by: subject.email };
    const caps = { maxActive: limits.maxActivePats, maxPerDay: limits.maxNewPatsPerDay };
    const addResult = await pats.add({ ...newPat, nowMs, expiresMs }, caps);
    if (!addResult.ok) throw new AppError("limit_reached", describePatCap(addResult.madeToday, caps, nowMs));
    return { id, name, roles, expiresMs, token };
  };
  return {
    list: (user) =>
      withBrowserAudit(
        withAudit,
        user,
        LIST_PATS_ACTION,
        "",
        async ({ subject }) => (await pats.list(subject.subjectId)).map(withVisibleName),
        "listing",
      ),
    create: (user, request) => {
      const requestText = JSON.stringify(request);
      return withBrowserAudit(withAudit, user, "make access token", requestText, async (call) =>
        createPat(call, request),
      );
    },
    revoke: (user, id) => {
      const revokePat = async ({ subject: { subjectId, email } }: AuditedCall): Promise<void> => {
        if (!(await pats.revoke(id, subjectId, email, now())))
          throw new AppError("not_found", "You have no active personal access token with this id.");
        await roleChanges.propagate();
      };
      return withBrowserAudit(withAudit, user, "revoke access token", id, revokePat, "revocation");
    },
  };
}

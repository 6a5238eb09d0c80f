// Administers members for users with an administering role: list, add, change and remove. Each operation is recorded in the ledger of
// the administrator; the member's ledger records the change when it is propagated.
import type { Organisation } from "../config/define-gatehouse.ts";
import { AppError } from "../errors.ts";
import type { RecordPriority } from "../audit/audit-record.ts";
import type { Identity } from "../lib/identity.ts";
import { mayAdminister } from "../policy/evaluate.ts";
import { findMemberProblems } from "../policy/attributes.ts";
import { listAdministeringRoles, overriddenWarnings, requireAttributes, requireRole } from "../policy/member-input.ts";
import type { AttributeChanges } from "../policy/member-input.ts";
import type { Policy } from "../policy/model.ts";
import { describeRemainingAccess } from "../policy/remaining-access.ts";
import { describeHeld } from "./held-access.ts";
import { addRole, removeRole, setAttributes } from "./member-statements.ts";
import type { SqlStatement } from "./member-statements.ts";
import type { ListedMember } from "./member-row.ts";
import type { MemberStore } from "./member-store.ts";
import type { RemovalStore } from "./removal-store.ts";
import { createNoRoleError, withBrowserAudit } from "../audit/browser-operation.ts";
import type { AuditedCall, WithAudit } from "../audit/audit.ts";
import type { RoleChanges } from "./role-changes.ts";

/** A member of the policy file. Only the policy file can change it. */
interface DeclaredMember {
  readonly email: string;
  readonly roles: readonly string[];
}

/** All members, of the policy file and of the members table. */
interface MemberList {
  readonly declared: readonly DeclaredMember[];
  readonly members: readonly ListedMember[];
  /** Why a member of the table has fewer permissions than the table says. */
  readonly problems: readonly { readonly email: string; readonly problem: string }[];
}

/** When a change takes effect. `later`: it is stored, and the upkeep propagates it within some minutes. */
interface ChangeEffect {
  readonly acts: "at the next request" | "later";
}

/** The effect of changed attributes, with warnings about attributes that grant nothing. */
interface AttributesEffect extends ChangeEffect {
  readonly warnings: readonly string[];
}

/** The effect of a removal. */
interface RemovalEffect extends ChangeEffect {
  /** What has ended, such as `2 connections (Claude, Cursor)`. What is in Durable Objects is missing when it ends later. */
  readonly ended: readonly string[];
  /** What the policy file and groups of the identity provider still give. */
  readonly warnings: readonly string[];
}

/** The operations of an administrator. Errors of each: `not_allowed`, and those of `createWithAudit`. */
export interface MemberAdministration {
  list(administrator: Identity): Promise<MemberList>;
  /** Adds a role to a member, who need not exist yet. Errors: `invalid_input` for an unknown role. */
  addRole(administrator: Identity, email: string, role: string): Promise<ChangeEffect>;
  /** Removes a role that the members table gives. Errors: `not_found`. */
  removeRole(administrator: Identity, email: string, role: string): Promise<ChangeEffect>;
  /**
   * Removes all roles and attributes that the members table gives, and ends the member's connections, personal access tokens, browser
   * sessions, sessions, results and pending work. Errors: `not_found` when the table has no such member and no such user has signed in.
   */
  remove(administrator: Identity, email: string): Promise<RemovalEffect>;
  /** Sets attributes. Errors: `invalid_input` for an attribute that the policy does not declare, or that its rules cannot compare. */
  setAttributes(administrator: Identity, email: string, attributes: AttributeChanges): Promise<AttributesEffect>;
}

/** What the administration needs. */
interface MemberAdministrationDependencies {
  readonly withAudit: WithAudit;
  readonly policy: Policy;
  readonly organisation: Organisation;
  readonly members: MemberStore;
  readonly removals: Pick<RemovalStore, "remove" | "find">;
  readonly roleChanges: Pick<RoleChanges, "propagate">;
  readonly onError: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Creates the administration of members. */
export function createMemberAdministration(dependencies: MemberAdministrationDependencies): MemberAdministration {
  const { withAudit, policy, organisation, members, now } = dependencies;
  const administerWithAudit = <T>(
    administrator: Identity,
    operation: string,
    requestText: string,
    work: (call: AuditedCall) => Promise<T>,
    priority: RecordPriority = "call",
  ) => {
    const administratorWork = async (call: AuditedCall): Promise<T> => {
      if (!mayAdminister(policy, call.subject))
        throw createNoRoleError("members", listAdministeringRoles(policy), organisation);
      return work(call);
    };
    return withBrowserAudit(withAudit, administrator, operation, requestText, administratorWork, priority);
  };
  const buildAuthor = ({ subject }: AuditedCall) => ({ by: subject.email, nowMs: now() });
  const applyChange = async (change: SqlStatement): Promise<ChangeEffect> => applyAndPropagate(dependencies, change);
  const requireMember = async (email: string): Promise<ListedMember> => {
    const member = await members.find(email);
    if (member !== undefined && hasRolesOrAttributes(member)) return member;
    throw new AppError("not_found", `The members table has no member ${email}.${formatDeclaredHint(policy, email)}`);
  };
  return {
    list: (administrator) =>
      administerWithAudit(
        administrator,
        "list members",
        "",
        async () => {
          const tableMembers = await members.list();
          return {
            declared: policy.members.map(({ email, roles }) => ({ email, roles })),
            members: tableMembers,
            problems: tableMembers.flatMap((member) =>
              findMemberProblems(policy, member).map((problem) => ({ email: member.email, problem })),
            ),
          };
        },
        "listing",
      ),
    addRole: (administrator, email, role) =>
      administerWithAudit(administrator, "add role", `${email} ${role}`, async (call) => {
        requireRole(policy, role);
        return applyChange(addRole(email, role, buildAuthor(call)));
      }),
    removeRole: (administrator, email, role) => {
      const remove = async (call: AuditedCall): Promise<ChangeEffect> => {
        const { roles } = await requireMember(email);
        if (!roles.some((memberRole) => memberRole.role === role))
          throw new AppError(
            "not_found",
            `The members table does not give ${role} to ${email}.${formatDeclaredHint(policy, email)}`,
          );
        return applyChange(removeRole(email, role, buildAuthor(call)));
      };
      return administerWithAudit(administrator, "remove role", `${email} ${role}`, remove, "revocation");
    },
    remove: (administrator, email) => {
      const remove = async (call: AuditedCall): Promise<RemovalEffect> => {
        const subjects = await members.listSubjects(email);
        if (subjects.length === 0) await requireMember(email);
        const { removals } = dependencies;
        await removals.remove({ id: call.id, email, ...buildAuthor(call) });
        const effect = await propagateChange(dependencies);
        const removal = await removals.find(call.id);
        const ended = removal === undefined ? [] : describeHeld(removal);
        const groups = subjects.flatMap((subject) => subject.groups);
        return { ...effect, ended, warnings: describeRemainingAccess(policy, { email, groups }) };
      };
      return administerWithAudit(administrator, "remove member", email, remove, "revocation");
    },
    setAttributes: (administrator, email, attributes) =>
      administerWithAudit(
        administrator,
        "set attributes",
        `${email} ${Object.keys(attributes).join(" ")}`,
        async (call) => {
          const warnings = [
            ...requireAttributes(policy, attributes),
            ...overriddenWarnings(policy, email, Object.keys(attributes)),
          ];
          return { ...(await applyChange(setAttributes(email, attributes, buildAuthor(call)))), warnings };
        },
      ),
  };
}

/** Stores the change, then propagates it. When propagation fails, the change stays pending and the upkeep propagates it later. */
async function applyAndPropagate(
  dependencies: Pick<MemberAdministrationDependencies, "members" | "roleChanges" | "onError">,
  change: SqlStatement,
): Promise<ChangeEffect> {
  await dependencies.members.applyChange(change);
  return propagateChange(dependencies);
}

async function propagateChange({
  roleChanges,
  onError,
}: Pick<MemberAdministrationDependencies, "roleChanges" | "onError">): Promise<ChangeEffect> {
  try {
    await roleChanges.propagate();
    return { acts: "at the next request" };
  } catch (error) {
    onError(error);
    return { acts: "later" };
  }
}

/** Whether the row of a member gives anything: a removed member keeps an empty row in the table. */
function hasRolesOrAttributes({ roles, attributes, unreadable }: ListedMember): boolean {
  return roles.length + Object.keys(attributes).length + unreadable.length > 0;
}

function formatDeclaredHint({ members }: Policy, email: string): string {
  return members.some((member) => member.email === email)
    ? " The policy file names this member; change their roles there."
    : "";
}

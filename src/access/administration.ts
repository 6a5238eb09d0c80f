// What people with an administering role do: list, add and remove members. Each is one recorded operation, in the chain of who did
// it; the one whom it concerns gets a record in their own chain when their ledger hears of it.
import type { Organisation } from "../config.ts";
import { AppError } from "../errors.ts";
import type { Room } from "../ledger/record.ts";
import type { Identity } from "../lib/identity.ts";
import { mayAdminister } from "../policy/evaluate.ts";
import { memberProblems } from "../policy/attributes.ts";
import { administeringRoles, overriddenWarnings, requireAttributes, requireRole } from "../policy/names.ts";
import type { AttributeChanges } from "../policy/names.ts";
import type { Policy } from "../policy/model.ts";
import { addRole, removeMember, removeRole, setAttributes } from "../storage/member-statements.ts";
import type { Change } from "../storage/member-statements.ts";
import type { ListedMember } from "../storage/member-row.ts";
import type { Members } from "../storage/members.ts";
import { recordedInBrowser } from "./browser-operation.ts";
import { Denied } from "./recorded.ts";
import type { Call, Recorder } from "./recorded.ts";
import type { RoleChanges } from "./role-changes.ts";

/** A member of the policy file, which alone can change it. */
export interface DeclaredMember {
  readonly email: string;
  readonly roles: readonly string[];
}

export interface MemberList {
  readonly declared: readonly DeclaredMember[];
  readonly members: readonly ListedMember[];
  /** Why members of the table have less than it says. */
  readonly problems: readonly { readonly email: string; readonly problem: string }[];
}

/** When a change acts. `later`: it is written, and acts within some minutes. */
export interface Acts {
  readonly acts: "at the next request" | "later";
}

/** What was set, with what of it grants nothing. */
export interface AttributesSet extends Acts {
  readonly warnings: readonly string[];
}

/** Errors of each: `not_allowed`, and those of the recorder. */
export interface Administration {
  list(person: Identity): Promise<MemberList>;
  /** Errors: `invalid_input` for a role that there is not. */
  addRole(person: Identity, email: string, role: string): Promise<Acts>;
  /** Errors: `invalid_input` for one that the policy file gives, `not_found`. */
  removeRole(person: Identity, email: string, role: string): Promise<Acts>;
  /** Takes all roles and attributes away. Errors: `not_found`. */
  remove(person: Identity, email: string): Promise<Acts>;
  /** Errors: `invalid_input` for an attribute that the policy does not know, or that its rules cannot compare. */
  setAttributes(person: Identity, email: string, attributes: AttributeChanges): Promise<AttributesSet>;
}

export interface AdministrationDependencies {
  readonly record: Recorder;
  readonly policy: Policy;
  readonly organisation: Organisation;
  readonly members: Members;
  readonly changes: Pick<RoleChanges, "tell">;
  readonly onError: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

export function createAdministration(dependencies: AdministrationDependencies): Administration {
  const { record, policy, organisation, members, now } = dependencies;
  const administer = <T>(
    person: Identity,
    operation: string,
    asked: string,
    work: (call: Call) => Promise<T>,
    room: Room = "call",
  ) => {
    const administered = async (call: Call): Promise<T> => {
      if (!mayAdminister(policy, call.subject)) throw notAllowed(policy, organisation);
      return work(call);
    };
    return recordedInBrowser(record, person, operation, asked, administered, room);
  };
  const at = ({ subject }: Call) => ({ by: subject.email, nowMs: now() });
  const make = async (change: Change): Promise<Acts> => applyAndTell(dependencies, change);
  const known = async (email: string): Promise<ListedMember> => {
    const found = await members.find(email);
    if (found !== undefined && holdsAnything(found)) return found;
    throw new AppError("not_found", `The members table does not name ${email}.${declaredHint(policy, email)}`);
  };
  return {
    list: (person) =>
      administer(
        person,
        "list members",
        "",
        async () => {
          const listed = await members.list();
          return {
            declared: policy.members.map(({ email, roles }) => ({ email, roles })),
            members: listed,
            problems: listed.flatMap((member) =>
              memberProblems(policy, member).map((problem) => ({ email: member.email, problem })),
            ),
          };
        },
        "listing",
      ),
    addRole: (person, email, role) =>
      administer(person, "add role", `${email} ${role}`, async (call) => {
        requireRole(policy, role);
        return make(addRole(email, role, at(call)));
      }),
    removeRole: (person, email, role) => {
      const remove = async (call: Call): Promise<Acts> => {
        const { roles } = await known(email);
        if (!roles.some((held) => held.role === role))
          throw new AppError(
            "not_found",
            `${email} does not have ${role} by the members table.${declaredHint(policy, email)}`,
          );
        return make(removeRole(email, role, at(call)));
      };
      return administer(person, "remove role", `${email} ${role}`, remove, "revocation");
    },
    remove: (person, email) => {
      const remove = async (call: Call): Promise<Acts> => {
        await known(email);
        return make(removeMember(email, at(call)));
      };
      return administer(person, "remove member", email, remove, "revocation");
    },
    setAttributes: (person, email, attributes) =>
      administer(person, "set attributes", `${email} ${Object.keys(attributes).join(" ")}`, async (call) => {
        const warnings = [
          ...requireAttributes(policy, attributes),
          ...overriddenWarnings(policy, email, Object.keys(attributes)),
        ];
        return { ...(await make(setAttributes(email, attributes, at(call)))), warnings };
      }),
  };
}

/** Writes it, then makes it act. What cannot be told now stays to be told: the change is not undone for that. */
export async function applyAndTell(
  { members, changes, onError }: Pick<AdministrationDependencies, "members" | "changes" | "onError">,
  change: Change,
): Promise<Acts> {
  await members.apply(change);
  try {
    await changes.tell();
    return { acts: "at the next request" };
  } catch (error) {
    onError(error);
    return { acts: "later" };
  }
}

/** Who was removed keeps an empty row. */
function holdsAnything({ roles, attributes, unreadable }: ListedMember): boolean {
  return roles.length + Object.keys(attributes).length + unreadable.length > 0;
}

function declaredHint({ members }: Policy, email: string): string {
  return members.some((member) => member.email === email)
    ? " The policy file does; what it gives is changed there."
    : "";
}

function notAllowed(policy: Policy, { contact }: Organisation): Denied {
  const roles = administeringRoles(policy);
  const who = roles.length === 0 ? "No role may do this." : `Only ${roles.join(" and ")} may do this.`;
  return new Denied(new AppError("not_allowed", `${who} ${contact} gives roles.`), ["members: no_role"], []);
}

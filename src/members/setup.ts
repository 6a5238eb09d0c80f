// Gives a deployment its first owner: a signed-in user enters the one-time setup code that the deployment printed. It works once, and
// never after a user has held an administering role through the policy file, the members table or a group.
import { AppError } from "../errors.ts";
import { isEqualInConstantTime, sha256Hex } from "../lib/crypto.ts";
import type { Identity } from "../lib/identity.ts";
import type { Policy, Subject } from "../policy/model.ts";
import { mayAdminister } from "../policy/evaluate.ts";
import { listAdministeringGroups, listAdministeringRoles } from "../policy/member-input.ts";
import type { SetupStore } from "./setup-store.ts";
import { withBrowserAudit } from "../audit/browser-operation.ts";
import { DeniedError } from "../audit/audit.ts";
import type { WithAudit } from "../audit/audit.ts";
import type { RoleChanges } from "./role-changes.ts";

/** The setup of a deployment. */
export interface Setup {
  /** Whether the setup code works now. */
  isOpen(): Promise<boolean>;
  /** Gives the administering roles to the user if the code is correct, and returns them. Errors: `not_allowed`, `limit_reached`. */
  enterCode(user: Identity, code: string): Promise<readonly string[]>;
}

/** What setup needs. */
interface SetupDependencies {
  readonly withAudit: WithAudit;
  readonly policy: Policy;
  readonly setupStore: SetupStore;
  readonly roleChanges: Pick<RoleChanges, "propagate">;
  /** Undefined when the deployment has no setup code: then every code is refused. */
  readonly code: string | undefined;
  readonly onError: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Only the length protects the code from guessing, because a correct code is accepted however many wrong codes came before. 20 random
 * digits have 66 bits; the code that npm run deploy creates has 125.
 */
const MIN_CODE_CHARACTERS = 20;
/** Two in a million codes of 20 random digits have fewer different characters. */
const MIN_DISTINCT_CHARACTERS = 5;

/** Parses GATEHOUSE_SETUP_CODE. Throws `TypeError` when it is too short, or has too few different characters. */
export function parseSetupCode(value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  const expected = `It takes at least ${MIN_CODE_CHARACTERS} random characters; npm run deploy creates one.`;
  if (typeof value !== "string" || value.length < MIN_CODE_CHARACTERS)
    throw new TypeError(`GATEHOUSE_SETUP_CODE is too short. ${expected}`);
  if (new Set(normalizeCode(value)).size < MIN_DISTINCT_CHARACTERS)
    throw new TypeError(`GATEHOUSE_SETUP_CODE is too easy to guess. ${expected}`);
  return value;
}

/** Closes setup for good when the subject has an administering role. Never throws. */
export type SetupCloser = (subject: Subject) => Promise<void>;

/** What the closer needs. */
interface SetupCloserDependencies extends Pick<SetupDependencies, "policy" | "onError" | "now"> {
  readonly setupStore: Pick<SetupStore, "close">;
}

/** Creates the closer of one isolate: it writes when it sees the first administrator, and again only if the write failed. */
export function createSetupCloser({ policy, setupStore, onError, now }: SetupCloserDependencies): SetupCloser {
  let isClosed = false;
  return async (subject) => {
    if (isClosed || !mayAdminister(policy, subject)) return;
    try {
      await setupStore.close({ by: subject.subjectId, nowMs: now(), reason: "held" });
      isClosed = true;
    } catch (error) {
      // The administrator must still be served. Setup cannot open meanwhile: the tables show that the role is held.
      onError(error);
    }
  };
}

/** Creates the setup of a deployment. */
export function createSetup(dependencies: SetupDependencies): Setup {
  const { withAudit, policy, setupStore, roleChanges, code, onError, now } = dependencies;
  const [roles, groups] = [listAdministeringRoles(policy), listAdministeringGroups(policy)];
  const isDeclared = policy.members.some((member) => member.roles.some((role) => roles.includes(role)));
  const isOpen = async (): Promise<boolean> => {
    if (code === undefined || roles.length === 0 || (await setupStore.isClosed())) return false;
    if (!isDeclared && !(await setupStore.isRoleHeld({ roles, groups }))) return true;
    // Setup must not open again when the user who held the role is removed.
    await setupStore.close({ by: "policy or members", nowMs: now(), reason: "held" });
    return false;
  };
  const claim = async ({ subjectId, email }: Subject): Promise<boolean> =>
    (await isOpen()) && setupStore.claim({ subjectId, email, names: { roles, groups }, nowMs: now() });
  return {
    isOpen,
    // The entered code is not recorded, because it could be the correct one.
    enterCode: (user, enteredCode) =>
      withBrowserAudit(withAudit, user, "enter set-up code", "", async ({ subject }) => {
        const { isOverUserLimit, isOverTotalLimit } = await setupStore.countAttempt(subject.subjectId, now());
        // The limit of each user counts only their own attempts, so an attacker cannot use up the deployer's.
        if (isOverUserLimit) throw createTooManyAttemptsError();
        // The hashes are compared in constant time, before the total limit: wrong codes of other users must not lock out the deployer.
        const isCorrect = isEqualInConstantTime(
          await sha256Hex(normalizeCode(enteredCode)),
          await sha256Hex(normalizeCode(code ?? "")),
        );
        if (!isCorrect || code === undefined) throw isOverTotalLimit ? createTooManyAttemptsError() : createRefusal();
        if (mayAdminister(policy, subject))
          await setupStore.close({ by: subject.subjectId, nowMs: now(), reason: "held" });
        if (!(await claim(subject))) throw createRefusal();
        await roleChanges.propagate().catch(onError);
        return roles;
      }),
  };
}

function createTooManyAttemptsError(): AppError {
  return new AppError("limit_reached", "Too many wrong codes were entered. Try again in an hour.");
}

/** The message is the same for a wrong code, a used or voided code, and closed setup, so that it does not reveal which it is. */
function createRefusal(): DeniedError {
  const message = [
    "This code does not work: it is not correct, was used or voided, or this server has or had an owner.",
    "An operator can add an owner at any time with npm run member.",
  ].join(" ");
  return new DeniedError(new AppError("not_allowed", message), ["set-up: refused"], []);
}

/** Ignores case and surrounding spaces, because users type the code. */
function normalizeCode(code: string): string {
  return code.trim().toUpperCase();
}

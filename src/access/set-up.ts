// How a deployment gets its first owner: a person who is signed in enters the one-time code that the deployer has seen. It works
// once, and never again after an administering role was held in any way: by the policy file, the members table or a group.
import { AppError } from "../errors.ts";
import { equalTexts, sha256Hex } from "../lib/crypto.ts";
import type { Identity } from "../lib/identity.ts";
import type { Policy, Subject } from "../policy/model.ts";
import { mayAdminister } from "../policy/evaluate.ts";
import { administeringGroups, administeringRoles } from "../policy/names.ts";
import type { Setup } from "../storage/setup.ts";
import { recordedInBrowser } from "./browser-operation.ts";
import { Denied } from "./recorded.ts";
import type { Recorder } from "./recorded.ts";
import type { RoleChanges } from "./role-changes.ts";

export interface SetUp {
  /** Whether a code would be taken now. */
  isOpen(): Promise<boolean>;
  /** Gives the administering roles to who brings the code. Returns them. Errors: `not_allowed`, `limit_reached`. */
  enter(person: Identity, code: string): Promise<readonly string[]>;
}

export interface SetUpDependencies {
  readonly record: Recorder;
  readonly policy: Policy;
  readonly setup: Setup;
  readonly changes: Pick<RoleChanges, "tell">;
  /** Undefined when the deployment has none: then no code is right. */
  readonly code: string | undefined;
  readonly onError: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * The length is what keeps a code from being guessed: a right one is taken whatever wrong ones came before. 20 random digits are 66
 * bits, the code that npm run deploy makes is 125.
 */
const MIN_CODE_LENGTH = 20;
/** A code of 20 random digits has fewer different characters twice in a million times. */
const MIN_CODE_CHARACTERS = 5;

/** Parses the secret. Throws `TypeError` naming it, when it is too short to be safe, or repeats a few characters. */
export function parseSetupCode(value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  const takes = `It takes at least ${MIN_CODE_LENGTH} random characters; npm run deploy makes one.`;
  if (typeof value !== "string" || value.length < MIN_CODE_LENGTH)
    throw new TypeError(`GATEHOUSE_SETUP_CODE is too short. ${takes}`);
  if (new Set(normalised(value)).size < MIN_CODE_CHARACTERS)
    throw new TypeError(`GATEHOUSE_SETUP_CODE is too easy to guess. ${takes}`);
  return value;
}

/** Closes set-up for good once a subject is resolved with an administering role. Never throws. */
export type SetupCloser = (subject: Subject) => Promise<void>;

export interface SetupCloserDependencies extends Pick<SetUpDependencies, "policy" | "onError" | "now"> {
  readonly setup: Pick<Setup, "close">;
}

/** One per isolate: it writes at the first administrator that it sees, and again only if that failed. */
export function createSetupCloser({ policy, setup, onError, now }: SetupCloserDependencies): SetupCloser {
  let isClosed = false;
  return async (subject) => {
    if (isClosed || !mayAdminister(policy, subject)) return;
    try {
      await setup.close({ by: subject.subjectId, nowMs: now(), reason: "held" });
      isClosed = true;
    } catch (error) {
      // The administrator is served all the same; the tables still show that the role is held.
      onError(error);
    }
  };
}

export function createSetUp(dependencies: SetUpDependencies): SetUp {
  const { record, policy, setup, changes, code, onError, now } = dependencies;
  const [roles, groups] = [administeringRoles(policy), administeringGroups(policy)];
  const isDeclared = policy.members.some((member) => member.roles.some((role) => roles.includes(role)));
  const isOpen = async (): Promise<boolean> => {
    if (code === undefined || roles.length === 0 || (await setup.isClosed())) return false;
    if (!isDeclared && !(await setup.isHeld({ roles, groups }))) return true;
    // For good: it must not open again when the one who held the role is gone.
    await setup.close({ by: "policy or members", nowMs: now(), reason: "held" });
    return false;
  };
  const claim = async ({ subjectId, email }: Subject): Promise<boolean> =>
    (await isOpen()) && setup.claim({ subjectId, email, names: { roles, groups }, nowMs: now() });
  return {
    isOpen,
    // What was entered is not recorded: it could be right.
    enter: (person, entered) =>
      recordedInBrowser(record, person, "enter set-up code", "", async ({ subject }) => {
        const { isOverOwn, isOverTotal } = await setup.countTry(subject.subjectId, now());
        // A person's own tries are theirs alone: no other can use them up.
        if (isOverOwn) throw tooManyTries();
        // Compared by their hashes, in a time that tells nothing, and before anything else that could tell: the wrong codes of
        // others must not lock out the deployer.
        const isRight = equalTexts(await sha256Hex(normalised(entered)), await sha256Hex(normalised(code ?? "")));
        if (!isRight || code === undefined) throw isOverTotal ? tooManyTries() : refused();
        if (mayAdminister(policy, subject)) await setup.close({ by: subject.subjectId, nowMs: now(), reason: "held" });
        if (!(await claim(subject))) throw refused();
        await changes.tell().catch(onError);
        return roles;
      }),
  };
}

function tooManyTries(): AppError {
  return new AppError("limit_reached", "There were too many tries. Try again in an hour.");
}

/** One text for a wrong code, one that was used or voided, and one that is not needed any more. */
function refused(): Denied {
  const message =
    "This code does not work: it is not right, was used or voided, or there is or was an owner. npm run member adds one at any time.";
  return new Denied(new AppError("not_allowed", message), ["set-up: refused"], []);
}

/** As people type it: spaces around it and lower case do not matter. */
function normalised(code: string): string {
  return code.trim().toUpperCase();
}

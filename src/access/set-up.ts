// How a deployment gets its first owner: somebody who is signed in enters the one-time code that only the deployer has seen. It
// works while nobody administers, once.
import { AppError } from "../errors.ts";
import { equalTexts, sha256Hex } from "../lib/crypto.ts";
import type { Identity } from "../lib/identity.ts";
import type { Policy } from "../policy/model.ts";
import { administeringRoles } from "../policy/names.ts";
import type { Members } from "../storage/members.ts";
import type { Setup } from "../storage/setup.ts";
import { recordedInBrowser } from "./own.ts";
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
  readonly members: Members;
  readonly changes: Pick<RoleChanges, "tell">;
  /** Undefined when the deployment has none: then no code is right. */
  readonly code: string | undefined;
  readonly onError: (error: unknown) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** A code that could be guessed is none. */
const MIN_CODE_LENGTH = 20;

/** Parses the secret. Throws `TypeError` naming it, when it is too short to be safe. */
export function parseSetupCode(value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string" && value.length >= MIN_CODE_LENGTH) return value;
  throw new TypeError(
    `GATEHOUSE_SETUP_CODE is too short. It takes at least ${MIN_CODE_LENGTH} random characters; npm run deploy makes one.`,
  );
}

export function createSetUp(dependencies: SetUpDependencies): SetUp {
  const { record, policy, setup, members, changes, code, onError, now } = dependencies;
  const roles = administeringRoles(policy);
  const isDeclared = policy.members.some((member) => member.roles.some((role) => roles.includes(role)));
  const isOpen = async (): Promise<boolean> =>
    code !== undefined &&
    roles.length > 0 &&
    !isDeclared &&
    !(await setup.isUsed()) &&
    !(await members.holdsAny(roles));
  return {
    isOpen,
    // What was entered is not recorded: it could be right.
    enter: (person, entered) =>
      recordedInBrowser(record, person, "enter set-up code", "", async ({ subject: { subjectId, email } }) => {
        const nowMs = now();
        if (!(await setup.countTry(subjectId, nowMs)))
          throw new AppError("limit_reached", "There were too many tries. Try again in an hour.");
        // Compared by their hashes, in a time that tells nothing, and before anything else that could tell.
        const isRight = equalTexts(await sha256Hex(normalised(entered)), await sha256Hex(normalised(code ?? "")));
        if (!(isRight && code !== undefined && (await isOpen()))) throw refused();
        if (!(await setup.claim({ subjectId, email, roles, nowMs }))) throw refused();
        await changes.tell().catch(onError);
        return roles;
      }),
  };
}

/** One text for a wrong code, one that was used, and one that is not needed any more. */
function refused(): Denied {
  const message =
    "This code does not work: it is not right, or was used, or there is an owner already. npm run member adds one at any time.";
  return new Denied(new AppError("not_allowed", message), ["set-up: refused"], []);
}

/** As people type it: spaces around it and lower case do not matter. */
function normalised(code: string): string {
  return code.trim().toUpperCase();
}

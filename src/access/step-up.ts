// What an answer says when something may be missing for want of a role: which roles there are and whom to ask. It is the same text
// whatever was asked for, so that it does not tell a name that is denied from one that does not exist.
import type { Organisation } from "../config.ts";
import { AppError } from "../errors.ts";
import type { Policy, Subject } from "../policy/model.ts";
import { Denied } from "./recorded.ts";

/** Roles that a message lists at most. */
const MAX_LISTED = 12;

/** One or two sentences; empty for who has every role there is. */
export function stepUpHint({ roles }: Policy, subject: Subject, { contact }: Organisation): string {
  const others = roles.map(({ name }) => name).filter((name) => !subject.roles.includes(name));
  if (others.length === 0) return "";
  const more = others.length > MAX_LISTED ? ` and ${others.length - MAX_LISTED} more` : "";
  const list = `${others.slice(0, MAX_LISTED).join(", ")}${more}`;
  if (subject.token === undefined && subject.roles.length === 0)
    return `This person has no role here; there are ${list}. ${contact} gives roles.`;
  const held = subject.roles.length === 0 ? "no role" : `the role ${subject.roles.join(", ")}`;
  if (subject.token !== undefined)
    return `This access token has ${held}; another token of its owner can have others that the owner has. Ask ${contact}.`;
  return `If something is missing, another role may be needed: this person has ${held}, and there are ${list}. ${contact} gives roles.`;
}

/** The error with the hint, if it says that a name is not there. */
export function withStepUp(thrown: unknown, hint: () => string): unknown {
  if (!(thrown instanceof AppError) || !thrown.isMissing) return thrown;
  const text = hint();
  if (text === "") return thrown;
  const explained = new AppError(thrown.code, `${thrown.publicMessage} ${text}`, {
    cause: thrown.cause,
    isMissing: true,
  });
  return thrown instanceof Denied ? new Denied(explained, thrown.denials, thrown.rules) : explained;
}

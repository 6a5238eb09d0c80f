// What of the sign-in settings and of the policy's groups does not do what it seems to, for the operator: `npm run policy -- check`
// and deployments print it, and the Worker logs it when it starts. Pure; it refuses nothing.
import { foldAscii } from "../lib/email-address.ts";
import type { GitHubSettings, SignInSettings } from "./settings.ts";

/** A group of the policy file. */
interface DeclaredGroup {
  readonly group: string;
}

/** One warning per line, each with what to do. */
export function signInWarnings(settings: SignInSettings, groups: readonly DeclaredGroup[]): readonly string[] {
  const names = groups.map(({ group }) => group);
  switch (settings.method) {
    case "github":
      return [...unpinnedWarnings(settings), ...names.flatMap((name) => gitHubGroupWarning(name, settings))];
    case "none":
    case "sample":
      // No groups come from these. The deployment may have another method.
      return names.flatMap(supposedGitHubWarning);
    case "oidc":
    case "access":
      // They choose the names of their groups freely, and names are compared exactly.
      return [];
  }
}

function unpinnedWarnings({ organisations, organisationIds, web }: GitHubSettings): readonly string[] {
  return organisations
    .filter((name) => !organisationIds.has(name))
    .map(
      (name) =>
        `GITHUB_ORGANISATIONS: ${name} is named without its id. GitHub gives the name of a renamed or deleted organisation to the next account that asks for it, and its members could sign in here. Write ${name}#<id>; the id is at ${web.origin === "https://github.com" ? "https://api.github.com" : `${web.origin}/api/v3`}/orgs/${name}.`,
    );
}

/** `acme`, `acme#1001`, `acme/platform`, `acme#1001/platform`. */
const GROUP = /^([a-z0-9][a-z0-9-]{0,38}(?:#[0-9]{1,16})?)(?:\/[a-z0-9_.-]+)?$/;

function gitHubGroupWarning(group: string, { organisations, organisationIds }: GitHubSettings): readonly string[] {
  const never = (why: string): readonly string[] => [`groups[${JSON.stringify(group)}] can never match: ${why}`];
  const [, organisation] = GROUP.exec(foldAscii(group)) ?? [];
  if (organisation === undefined)
    return never("it is no organisation and no team of GitHub, such as acme or acme/platform.");
  if (foldAscii(group) !== group) return never(`names of GitHub come in lower case. Write ${foldAscii(group)}.`);
  const given = organisations.flatMap((name) => [name, `${name}#${organisationIds.get(name)}`]);
  return given.includes(organisation) ? [] : never(`${organisation} is not one of GITHUB_ORGANISATIONS.`);
}

function supposedGitHubWarning(group: string): readonly string[] {
  const folded = foldAscii(group);
  if (folded === group || !GROUP.test(folded)) return [];
  return [
    `groups[${JSON.stringify(group)}] can never match if people sign in with GitHub, whose names come in lower case. Write ${folded} then.`,
  ];
}

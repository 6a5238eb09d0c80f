// Warns operators of sign-in settings and policy groups that do not do what they seem to. `npm run policy -- check` and deployments
// print the warnings, and the Worker logs them when it starts. Pure; it refuses nothing.
import { foldAscii } from "../lib/email-address.ts";
import type { GitHubSettings, SignInSettings } from "./sign-in-settings.ts";

/** A group that the policy file names. */
interface DeclaredGroup {
  readonly group: string;
}

/** Lists the warnings, one line each, with what to do. */
export function listSignInWarnings(settings: SignInSettings, groups: readonly DeclaredGroup[]): readonly string[] {
  const names = groups.map(({ group }) => group);
  switch (settings.method) {
    case "github":
      return [...listUnpinnedWarnings(settings), ...names.flatMap((name) => listGitHubGroupWarnings(name, settings))];
    case "none":
    case "sample":
      // These methods give no groups, but the policy file may be deployed with another method.
      return names.flatMap(listCaseWarnings);
    case "oidc":
    case "access":
      // These providers choose group names freely, and names are compared exactly.
      return [];
  }
}

function listUnpinnedWarnings({ organisations, organisationIds, webUrl }: GitHubSettings): readonly string[] {
  const apiUrl = webUrl.origin === "https://github.com" ? "https://api.github.com" : `${webUrl.origin}/api/v3`;
  return organisations
    .filter((name) => !organisationIds.has(name))
    .map((name) =>
      [
        `GITHUB_ORGANISATIONS: ${name} is named without its id.`,
        "After an organisation is renamed or deleted, another account can register its name, and its members could sign in here.",
        `Write ${name}#<id>; the id is at ${apiUrl}/orgs/${name}.`,
      ].join(" "),
    );
}

/** `acme`, `acme#1001`, `acme/platform`, `acme#1001/platform`. */
const GITHUB_GROUP = /^([a-z0-9][a-z0-9-]{0,38}(?:#[0-9]{1,16})?)(?:\/[a-z0-9_.-]+)?$/;

function listGitHubGroupWarnings(group: string, { organisations, organisationIds }: GitHubSettings): readonly string[] {
  const warnNeverMatches = (reason: string): readonly string[] => [
    `groups[${JSON.stringify(group)}] can never match: ${reason}`,
  ];
  const [, organisation] = GITHUB_GROUP.exec(foldAscii(group)) ?? [];
  if (organisation === undefined)
    return warnNeverMatches(
      "it is neither a GitHub organisation (such as acme) nor a GitHub team (such as acme/platform).",
    );
  if (foldAscii(group) !== group) return warnNeverMatches(`GitHub names are in lower case. Write ${foldAscii(group)}.`);
  const allowedOrganisations = organisations.flatMap((name) => [name, `${name}#${organisationIds.get(name)}`]);
  return allowedOrganisations.includes(organisation)
    ? []
    : warnNeverMatches(`${organisation} is not one of GITHUB_ORGANISATIONS.`);
}

function listCaseWarnings(group: string): readonly string[] {
  const folded = foldAscii(group);
  if (folded === group || !GITHUB_GROUP.test(folded)) return [];
  return [
    `groups[${JSON.stringify(group)}] can never match when users sign in with GitHub: GitHub names are in lower case. Write ${folded}.`,
  ];
}

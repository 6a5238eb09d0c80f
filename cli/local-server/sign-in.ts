// Chooses and checks the sign-in method for scripts: locally from the environment, `.dev.vars` or the sample's default; for a
// deployment from its wrangler configuration.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import { unstable_readConfig } from "wrangler";
import { SIGN_IN_SECRETS, SIGN_IN_VARIABLES, parseSignIn } from "../../src/sign-in/sign-in-settings.ts";
import type { SignInSettings } from "../../src/sign-in/sign-in-settings.ts";
import { CliError } from "../kit/cli-error.ts";
import { makePrivate } from "../project/private-files.ts";
import { printAside } from "../kit/terminal.ts";

/** An origin that is not localhost, for checks that do not know the deployment's URL. */
const ELSEWHERE = "https://gatehouse.example.com";

/** A placeholder for secrets that the deployment has, whose values cannot be read. */
const IN_PLACE = "set already";
const GIVE_SECRETS = " It is a secret: write NAME=value to a file, and run npm run deploy -- --secrets-file <file>.";

/**
 * Reads the sign-in variables for `npm start`: those of the environment take precedence over `.dev.vars` beside the configuration. The
 * default method is the sample. Throws `CliError` when a variable is missing or invalid.
 */
export function localSignIn(configPath: string, origin: string): Readonly<Record<string, string>> {
  const chosen = SIGN_IN_VARIABLES.flatMap((name) => {
    const value = localVariable(configPath, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  const variables = { GATEHOUSE_SIGN_IN: "sample", ...Object.fromEntries(chosen) };
  check(variables, origin);
  return variables;
}

/** Makes `.dev.vars`, which contains secrets, readable by its owner only. */
export function hideVariables(configPath: string): void {
  const file = variablesFile(configPath);
  if (!existsSync(file)) return;
  try {
    makePrivate(file);
  } catch (error) {
    // The file may belong to another user or be on a disk without file modes. Serving goes on: its owner decides who reads it.
    printAside(`${file} may be readable by other users of this machine: ${String(error)}`);
  }
}

const variablesFile = (configPath: string): string => path.join(path.dirname(configPath), ".dev.vars");

/** Reads a variable for `npm start`: from the environment, or else from `.dev.vars` beside the configuration. */
export function localVariable(configPath: string, name: string): string | undefined {
  const file = variablesFile(configPath);
  return process.env[name] ?? (existsSync(file) ? parseEnv(readFileSync(file, "utf8"))[name] : undefined);
}

/** Throws `CliError` when a deployment could not serve these variables even with every secret set. */
export function requireServable(variables: Readonly<Record<string, string>>): void {
  const secrets = Object.fromEntries(SIGN_IN_SECRETS.map((name) => [name, IN_PLACE]));
  check({ ...secrets, ...variables }, ELSEWHERE);
}

/**
 * Parses a deployment's sign-in settings. Throws `CliError` unless they let users sign in with an identity provider. `secrets` are
 * the names of the secrets that the deployment has or is about to get.
 */
export function requireSignIn(variables: Readonly<Record<string, string>>, secrets: readonly string[]): SignInSettings {
  if (["", "none"].includes(variables["GATEHOUSE_SIGN_IN"] ?? ""))
    throw new CliError(
      'No sign-in method is set, so users could not sign in: set GATEHOUSE_SIGN_IN under "vars" in wrangler.jsonc, or deploy with --set GATEHOUSE_SIGN_IN=oidc (docs/identity-providers.md).',
    );
  requireServable(variables);
  const set = SIGN_IN_SECRETS.filter((name) => secrets.includes(name));
  return check({ ...Object.fromEntries(set.map((name) => [name, IN_PLACE])), ...variables }, ELSEWHERE, GIVE_SECRETS);
}

/**
 * Parses the sign-in settings in the variables of a configuration or one of its environments, and assumes that every secret is set.
 * Throws `CliError` when a variable is missing or invalid.
 */
export function configuredSignIn(configPath: string, environment?: string): SignInSettings {
  const { vars } = unstable_readConfig({
    config: configPath,
    ...(environment === undefined ? {} : { env: environment }),
  });
  const secrets = Object.fromEntries(SIGN_IN_SECRETS.map((name) => [name, IN_PLACE]));
  const origin = vars["GATEHOUSE_SIGN_IN"] === "sample" ? "http://localhost" : ELSEWHERE;
  return check({ ...secrets, ...vars }, origin);
}

function check(variables: object, origin: string, advice = ""): SignInSettings {
  try {
    return parseSignIn(variables, origin);
  } catch (error) {
    if (error instanceof TypeError) throw new CliError(`${error.message}${advice}`, { cause: error });
    throw error;
  }
}

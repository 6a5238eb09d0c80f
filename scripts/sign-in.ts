// How people sign in, as scripts choose and check it: on this machine by the environment, `.dev.vars` or the sample; for a
// deployment by its wrangler configuration.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import { unstable_readConfig } from "wrangler";
import { SIGN_IN_SECRETS, SIGN_IN_VARIABLES, parseSignIn } from "../src/auth/settings.ts";
import type { SignInSettings } from "../src/auth/settings.ts";
import { PolicyProblem } from "./policy-file.ts";
import { makePrivate } from "./private-files.ts";
import { printAside } from "./terminal.ts";

/** Some place that is not this machine, for checks that do not know the deployment's URL. */
const ELSEWHERE = "https://gatehouse.example.com";

/** Stands for a secret that nobody can read. */
const IN_PLACE = "set already";
const GIVE_SECRETS =
  " It is a secret: write it as a line NAME=value into a file, and run npm run deploy -- --secrets-file <file>.";

/**
 * The variables for `npm start`: those of the environment, before those of the file `.dev.vars` beside the configuration. When
 * neither chooses a method, it is the sample. Throws `PolicyProblem` when they do not fit together.
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

/** Takes `.dev.vars`, which holds secrets, from all users but its owner. */
export function hideVariables(configPath: string): void {
  const file = variablesFile(configPath);
  if (!existsSync(file)) return;
  try {
    makePrivate(file);
  } catch (error) {
    // It may be another user's, or stand on a disk that keeps no modes: the user who put it there has decided who reads it.
    printAside(`${file} may be readable by others on this machine: ${String(error)}`);
  }
}

const variablesFile = (configPath: string): string => path.join(path.dirname(configPath), ".dev.vars");

/** A variable for `npm start`: of the environment, or else of the file `.dev.vars` beside the configuration. */
export function localVariable(configPath: string, name: string): string | undefined {
  const file = variablesFile(configPath);
  return process.env[name] ?? (existsSync(file) ? parseEnv(readFileSync(file, "utf8"))[name] : undefined);
}

/** Throws `PolicyProblem` when the variables of a deployment could not be served, whatever its secrets are. */
export function requireServable(variables: Readonly<Record<string, string>>): void {
  const secrets = Object.fromEntries(SIGN_IN_SECRETS.map((name) => [name, IN_PLACE]));
  check({ ...secrets, ...variables }, ELSEWHERE);
}

/**
 * How people sign in. Throws `PolicyProblem` unless they can, by something that asks who they are. `secrets` are the names of those that
 * the deployment has or is about to get.
 */
export function requireSignIn(variables: Readonly<Record<string, string>>, secrets: readonly string[]): SignInSettings {
  if (["", "none"].includes(variables["GATEHOUSE_SIGN_IN"] ?? ""))
    throw new PolicyProblem(
      'No sign-in method is chosen, so nobody could sign in: set GATEHOUSE_SIGN_IN under "vars" in wrangler.jsonc (docs/operating.md).',
    );
  requireServable(variables);
  const known = SIGN_IN_SECRETS.filter((name) => secrets.includes(name));
  return check({ ...Object.fromEntries(known.map((name) => [name, IN_PLACE])), ...variables }, ELSEWHERE, GIVE_SECRETS);
}

/**
 * How people sign in to the deployment of a configuration, or to one of its environments, as far as its variables say. Throws
 * `PolicyProblem` when they do not fit together.
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
    if (error instanceof TypeError) throw new PolicyProblem(`${error.message}${advice}`, { cause: error });
    throw error;
  }
}

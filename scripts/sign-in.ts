// How people sign in, as scripts choose and check it: on this machine by the environment, `.dev.vars` or the sample; for a
// deployment by its wrangler configuration.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parseEnv } from "node:util";
import { unstable_readConfig } from "wrangler";
import { SIGN_IN_SECRETS, SIGN_IN_VARIABLES, parseSignIn } from "../src/auth/settings.ts";
import { PolicyProblem } from "./policy-file.ts";

/** Some place that is not this machine, for checks that do not know the deployment's URL. */
const ELSEWHERE = "https://gatehouse.example.com";

/**
 * The variables for `npm start`: those of the environment, before those of the file `.dev.vars` beside the configuration. When
 * neither chooses a method, it is the sample. Throws `PolicyProblem` when they do not fit together.
 */
export function localSignIn(configPath: string, origin: string): Readonly<Record<string, string>> {
  const file = path.join(path.dirname(configPath), ".dev.vars");
  const fromFile = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const chosen = SIGN_IN_VARIABLES.flatMap((name) => {
    const value = process.env[name] ?? fromFile[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const variables = { GATEHOUSE_SIGN_IN: "sample", ...Object.fromEntries(chosen) };
  check(variables, origin);
  return variables;
}

/** Throws `PolicyProblem` when the configuration's variables could not be served; its secrets are not known here. */
export function requireSignIn(configPath: string): void {
  const { vars } = unstable_readConfig({ config: configPath });
  const secrets = Object.fromEntries(SIGN_IN_SECRETS.map((name) => [name, "set by wrangler secret put"]));
  check({ ...secrets, ...vars }, ELSEWHERE);
}

function check(variables: object, origin: string): void {
  try {
    parseSignIn(variables, origin);
  } catch (error) {
    if (error instanceof TypeError) throw new PolicyProblem(error.message, { cause: error });
    throw error;
  }
}

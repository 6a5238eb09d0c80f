// `npm run deploy`: brings a deployment in line with ../wrangler.jsonc and the policy file: databases, tables, secrets, the Worker.
// Each step first checks what already exists, so the next run resumes an interrupted one, and a run without changes creates nothing.
// `-- --env staging` deploys that environment; dry-run.ts says what a run would do. The sample is never deployed.
import path from "node:path";
import { NOTIFICATION_SECRETS } from "../../src/changes/notifications/notification-settings.ts";
import { SIGN_IN_SECRETS } from "../../src/sign-in/sign-in-settings.ts";
import { listSignInWarnings } from "../../src/sign-in/sign-in-warnings.ts";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { CliError, usageError } from "../kit/cli-error.ts";
import { runTool } from "../project/tools.ts";
import { chooseOrigin } from "./address.ts";
import { connect } from "../cloudflare-api/account.ts";
import { requireFreeDomains, requireOwnStores, requireSuccession } from "./checks.ts";
import { ensureStores } from "./databases.ts";
import type { StoreContext } from "./databases.ts";
import { migrateStores } from "./migrate.ts";
import { reportLines } from "./report.ts";
import { SETUP_CODE, readGiven, readPending, secretsFile as pendingSecretsFile } from "./secrets.ts";
import {
  addEnvironment,
  configPath,
  environmentsBesides,
  hasEnvironment,
  readSettings,
  writeVariables,
} from "./settings.ts";
import type { Secrets } from "./secrets.ts";
import { sendWorker } from "./send.ts";
import { loadOwnConfig, requireBindings } from "../project/policy-file.ts";
import { requireSignIn } from "../local-server/sign-in.ts";
import { print } from "../kit/terminal.ts";

/** What to deploy. */
export interface DeployOptions {
  /** The environment of wrangler.jsonc; undefined for the top level. */
  readonly environment: string | undefined;
  /** Relative to the folder that npm was called in. */
  readonly secretsFile: string | undefined;
  /** Variables to write to wrangler.jsonc first, each as `NAME=value`. */
  readonly variables: readonly string[];
}

const say = print;

/** Brings a deployment in line with wrangler.jsonc and the policy file. Throws `CliError` before it creates anything that would not work. */
export async function deployWorker(options: DeployOptions): Promise<void> {
  const { environment } = options;
  const config = await loadOwnConfig();
  if (environment !== undefined && !hasEnvironment(environment)) await declareEnvironment(environment);
  requireBindings(config, configPath, environment);
  await setVariables(environment, options.variables);
  await deploy(config, options);
}

/** Throws `CliError` with the compiler's output when the policy file or the code has errors of types. */
export async function checkTypes(): Promise<void> {
  say("Checking types …");
  await runTool("tsc", ["-p", "tsconfig.json"]);
}

async function setVariables(environment: string | undefined, texts: readonly string[]): Promise<void> {
  if (texts.length === 0) return;
  const variables = Object.fromEntries(texts.map(parseVariable));
  await writeVariables(environment, variables);
  await writeTypes();
  say(`wrangler.jsonc: set ${Object.keys(variables).join(", ")}.`);
}

function parseVariable(text: string): readonly [name: string, value: string] {
  const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined)
    throw usageError(`--set is ${JSON.stringify(text)}. It takes NAME=value, such as GATEHOUSE_SIGN_IN=oidc.`);
  const isSecret = [...SIGN_IN_SECRETS, ...NOTIFICATION_SECRETS].some((secret) => secret === name);
  if (isSecret || /(?:TOKEN|SECRET|KEY|PASSWORD|SETUP_CODE)$/.test(name))
    throw usageError(`${name} is a secret, and wrangler.jsonc is committed. Give it with --secrets-file.`);
  return [name, value];
}

async function writeTypes(): Promise<void> {
  await runTool("wrangler", ["types", "--include-runtime=false", "--strict-vars=false"]);
}

async function declareEnvironment(environment: string): Promise<void> {
  if (!/^[a-z][a-z0-9-]{0,30}$/.test(environment))
    throw new CliError(
      `--env is ${JSON.stringify(environment)}. It takes a name of lower-case letters, digits and hyphens.`,
    );
  await addEnvironment(environment);
  await writeTypes();
  say(`wrangler.jsonc: added the environment ${environment}, with its own databases.`);
}

async function deploy(config: Gatehouse, options: DeployOptions): Promise<void> {
  const { context, given, origin } = await prepare(config, options);
  const { settings } = context;
  if (settings.variables["GATEHOUSE_URL"] !== origin) {
    await writeVariables(settings.environment, { GATEHOUSE_URL: origin });
    say(`GATEHOUSE_URL: ${origin}; written to wrangler.jsonc.`);
  }
  await ensureStores(context);
  const ready = { ...context, settings: readSettings(options.environment) };
  await migrateStores(ready, config);
  const sent = await sendWorker(ready, config, given);
  say(reportLines(config, origin, sent.secrets[SETUP_CODE]).join("\n"));
  sent.finish();
}

/** Reads the operator's secrets; none without a file. */
export function readSecretsFile(secretsFile: string | undefined): Secrets {
  return secretsFile === undefined
    ? {}
    : readGiven(path.resolve(process.env["INIT_CWD"] ?? process.cwd(), secretsFile));
}

interface Prepared {
  readonly context: StoreContext;
  readonly given: Secrets;
  readonly origin: string;
}

/** Runs every check; nothing is created before they have passed. */
async function prepare(config: Gatehouse, { environment, secretsFile }: DeployOptions): Promise<Prepared> {
  const settings = readSettings(environment);
  const sourceBindings = config.policy.sources.map(({ binding }) => binding);
  const given = readSecretsFile(secretsFile);
  requireSignIn(settings.variables, SIGN_IN_SECRETS);
  requireOwnStores(settings, environmentsBesides(environment), sourceBindings);

  const { platform, account } = await connect(settings);
  const deployed = await platform.worker(account.id, settings.worker);
  if (deployed !== undefined) requireSuccession(settings, deployed, sourceBindings);
  const pending = readPending(pendingSecretsFile(account.id, settings.worker));
  const secrets = [...(deployed?.secrets ?? []), ...Object.keys({ ...pending, ...given })];
  const signIn = requireSignIn(settings.variables, secrets);
  for (const warning of listSignInWarnings(signIn, config.policy.groups)) say(`warning: ${warning}`);
  await requireFreeDomains(settings, platform, account.id);
  const subdomain = settings.isOnWorkersDev ? await platform.subdomain(account.id) : undefined;
  const origin = chooseOrigin(settings, subdomain);
  await checkTypes();
  say(`${settings.worker} in the account ${account.name}, at ${origin}`);
  return { context: { platform, account: account.id, settings, deployed, sourceBindings, say }, given, origin };
}

// Parses where notifications go, from the variables, secrets and bindings of the deployment. Errors name the setting, its value and what it
// takes; they never contain the value of a secret.
import { parseEmailAddress } from "../../lib/email-address.ts";
import { isLoopbackHost } from "../../lib/loopback.ts";
import type { EmailBinding, EmailSettings } from "./email-channel.ts";

/** Where the webhook is, and the key of its signatures. */
export interface WebhookSettings {
  readonly url: string;
  readonly key: string;
}

/** The settings that are secrets. The URL is one, because the URL of a Slack webhook is all that it takes to post there. */
export const NOTIFICATION_SECRETS = ["GATEHOUSE_WEBHOOK_URL", "GATEHOUSE_WEBHOOK_KEY"] as const;

const EMAIL_SETTINGS = ["GATEHOUSE_EMAIL", "GATEHOUSE_EMAIL_FROM", "GATEHOUSE_EMAIL_TO"] as const;

type NotificationSetting = (typeof NOTIFICATION_SECRETS | typeof EMAIL_SETTINGS)[number];

const MIN_KEY_CHARACTERS = 32;
/** The platform's limit for one email. */
const MAX_RECIPIENTS = 50;

/** Parses where the webhook is; undefined when none is set up. Throws `TypeError` when only a part is. */
export function parseWebhook(environment: object): WebhookSettings | undefined {
  if (!hasAny(environment, NOTIFICATION_SECRETS)) return undefined;
  const [url, key] = NOTIFICATION_SECRETS;
  return {
    url: readSetting(environment, url, parseWebhookUrl, "an https URL without user name (http only on localhost)"),
    key: readSetting(
      environment,
      key,
      (value) => (typeof value === "string" && value.length >= MIN_KEY_CHARACTERS ? value : undefined),
      `at least ${MIN_KEY_CHARACTERS} random characters`,
    ),
  };
}

/** Parses how emails are sent; undefined when none are. Throws `TypeError` when only a part is set up. */
export function parseEmail(environment: object): EmailSettings | undefined {
  if (!hasAny(environment, EMAIL_SETTINGS)) return undefined;
  const [binding, from, to] = EMAIL_SETTINGS;
  return {
    binding: readSetting(environment, binding, parseBinding, "a binding of send_email"),
    from: readSetting(environment, from, parseEmailAddress, "an address"),
    to: readSetting(environment, to, parseRecipients, `1 to ${MAX_RECIPIENTS} addresses separated by commas`),
  };
}

/** The URL gets every message, so it must be https or a loopback host. `fetch` refuses one with a user name. */
function parseWebhookUrl(value: unknown): string | undefined {
  if (typeof value !== "string" || !URL.canParse(value)) return undefined;
  const { protocol, hostname, username, password, href } = new URL(value);
  const isSecure = protocol === "https:" || (protocol === "http:" && isLoopbackHost(hostname));
  return isSecure && username + password === "" ? href : undefined;
}

function parseRecipients(value: unknown): readonly string[] | undefined {
  const texts = String(value).split(",");
  const addresses = texts.flatMap((text) => parseEmailAddress(text.trim()) ?? []);
  const isValid = addresses.length === texts.length && addresses.length <= MAX_RECIPIENTS;
  return isValid ? addresses : undefined;
}

function parseBinding(value: unknown): EmailBinding | undefined {
  const hasSend = typeof value === "object" && value !== null && typeof Reflect.get(value, "send") === "function";
  return hasSend ? (value as EmailBinding) : undefined;
}

/** Whether one of the settings is set. Empty counts as unset, because wrangler can empty a variable but not remove it. */
function hasAny(environment: object, names: readonly string[]): boolean {
  return names.some((name) => ![undefined, ""].includes(Reflect.get(environment, name)));
}

/** Reads a setting. `parse` returns undefined for a value that it does not take, and `expected` says in the error what it takes. */
function readSetting<T>(
  environment: object,
  name: NotificationSetting,
  parse: (value: unknown) => T | undefined,
  expected: string,
): T {
  const value: unknown = Reflect.get(environment, name);
  const setting = parse(value);
  if (setting !== undefined) return setting;
  const isSecret = NOTIFICATION_SECRETS.some((secret) => secret === name);
  const shown = typeof value === "string" && !isSecret ? JSON.stringify(value) : "set to an invalid value";
  throw new TypeError(`${name} is ${hasAny(environment, [name]) ? shown : "not set"}. It takes ${expected}.`);
}

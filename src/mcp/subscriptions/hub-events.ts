// The change events that travel through the hub, and their translation for each era. Change notifications will publish
// them; today only tests do.
import type { ServerEvent } from "@modelcontextprotocol/server";

/** A change of a list. */
export type ListEvent =
  | { readonly kind: "tools_list_changed" }
  | { readonly kind: "prompts_list_changed" }
  | { readonly kind: "resources_list_changed" };

/** A change of a list or of one resource. */
export type HubEvent = ListEvent | { readonly kind: "resource_updated"; readonly uri: string };

const METHODS: Readonly<Record<HubEvent["kind"], string>> = {
  tools_list_changed: "notifications/tools/list_changed",
  prompts_list_changed: "notifications/prompts/list_changed",
  resources_list_changed: "notifications/resources/list_changed",
  resource_updated: "notifications/resources/updated",
};

/** Returns the topic that an event is published to. */
export function getTopic(event: HubEvent): string {
  return event.kind === "resource_updated" ? nameResourceTopic(event.uri) : event.kind;
}

/** Returns the topic of a resource. */
export function nameResourceTopic(uri: string): string {
  return `resource ${uri}`;
}

/** Whether a topic belongs to a resource. Such topics are published to by topic shard, list topics directly to the subject. */
export function isResourceTopic(topic: string): boolean {
  return topic.startsWith("resource ");
}

/** Builds the JSON-RPC notification for a 2025-era session. */
export function buildNotification(event: HubEvent): string {
  const params = event.kind === "resource_updated" ? { params: { uri: event.uri } } : {};
  return JSON.stringify({ jsonrpc: "2.0", method: METHODS[event.kind], ...params });
}

/** Parses an event from a hub socket. Trusts it, because only a hub object of the same deployment sends it. */
export function parseEvent(text: string): ServerEvent {
  const event: HubEvent = JSON.parse(text);
  return event;
}

// What can change, as it travels through the hub, and how each era hears of it.
import type { ServerEvent } from "@modelcontextprotocol/server";

/** A list that a client may hold, or one resource. */
export type HubEvent =
  | { readonly kind: "tools_list_changed" }
  | { readonly kind: "prompts_list_changed" }
  | { readonly kind: "resources_list_changed" }
  | { readonly kind: "resource_updated"; readonly uri: string };

export type ListEvent = Exclude<HubEvent, { kind: "resource_updated" }>;

const METHODS: Readonly<Record<HubEvent["kind"], string>> = {
  tools_list_changed: "notifications/tools/list_changed",
  prompts_list_changed: "notifications/prompts/list_changed",
  resources_list_changed: "notifications/resources/list_changed",
  resource_updated: "notifications/resources/updated",
};

/** The name under which listeners ask for an event. */
export function topicOf(event: HubEvent): string {
  return event.kind === "resource_updated" ? resourceTopic(event.uri) : event.kind;
}

export function resourceTopic(uri: string): string {
  return `resource ${uri}`;
}

/** Whether a topic is one resource, which others than the subject's own requests publish to. */
export function isResourceTopic(topic: string): boolean {
  return topic.startsWith("resource ");
}

/** The JSON-RPC notification for a session of the 2025 era. */
export function notificationOf(event: HubEvent): string {
  const params = event.kind === "resource_updated" ? { params: { uri: event.uri } } : {};
  return JSON.stringify({ jsonrpc: "2.0", method: METHODS[event.kind], ...params });
}

/** Parses an event that came over a socket of ours. */
export function parseEvent(text: string): ServerEvent {
  const event: HubEvent = JSON.parse(text);
  return event;
}

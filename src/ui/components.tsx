// Components that the pages and the sign-in flows share. They take plain text, which hono/jsx escapes.

/** Renders the mark at the top of each page, a gate, as inline SVG. */
export function GateMark() {
  return (
    <svg
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      aria-hidden="true"
    >
      <path d="M3 21V8.5L12 3l9 5.5V21M8 21v-7a4 4 0 0 1 8 0v7M12 10v11M1.5 21h21" />
    </svg>
  );
}

/** Renders text for copying: one click selects all of it, without a script. */
export function CopyText({ text }: { readonly text: string }) {
  return <pre class="copy">{text}</pre>;
}

/** `wait` for what is still open, `good` and `bad` for how it ended, `plain` for the rest. The text says the same as the colour. */
export type BadgeKind = "wait" | "good" | "bad" | "plain";

/** Renders a state in a word or two. */
export function Badge({ kind, children }: { readonly kind: BadgeKind; readonly children?: unknown }) {
  return <span class={`badge ${kind}`}>{children}</span>;
}

interface NoticeProps {
  /** `warn` when something keeps the reader from continuing. */
  readonly kind?: "info" | "warn";
  readonly children?: unknown;
}

/** Renders a notice that the reader needs before continuing. */
export function Notice({ kind = "info", children }: NoticeProps) {
  return <div class={kind === "warn" ? "note warn" : "note"}>{children}</div>;
}

/** Renders whom to contact: an email address or https URL becomes a link, and other text stays text. */
export function Contact({ contact }: { readonly contact: string }) {
  const href = toLink(contact);
  return href === undefined ? <strong>{contact}</strong> : <a href={href}>{contact}</a>;
}

function toLink(contact: string): string | undefined {
  if (/^[^\s@<>?&]+@[^\s@<>?&]+\.[^\s@<>?&]+$/.test(contact)) return `mailto:${contact}`;
  return URL.canParse(contact) && new URL(contact).protocol === "https:" ? contact : undefined;
}

/** Renders a date and time in UTC, because the page does not know the reader's time zone. */
export function Timestamp({ ms }: { readonly ms: number }) {
  const date = new Date(ms);
  const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" });
  return <time datetime={date.toISOString()}>{format.format(date)} UTC</time>;
}

// Parts that pages and sign-in share. Each takes plain texts, which hono/jsx escapes.

/** The mark at the top of each page: a gate, drawn in the page itself. */
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

/** Text to be copied whole: one click selects all of it, without a script. */
export function CopyText({ text }: { readonly text: string }) {
  return <pre class="copy">{text}</pre>;
}

export interface NoticeProps {
  /** `warn` where something keeps the reader from going on. */
  readonly kind?: "info" | "warn";
  readonly children?: unknown;
}

/** What the reader has to know before going on. */
export function Notice({ kind = "info", children }: NoticeProps) {
  return <div class={kind === "warn" ? "note warn" : "note"}>{children}</div>;
}

/** Whom to ask: an address or a page becomes a link, anything else stays text. */
export function Contact({ contact }: { readonly contact: string }) {
  const href = linkOf(contact);
  return href === undefined ? <strong>{contact}</strong> : <a href={href}>{contact}</a>;
}

function linkOf(contact: string): string | undefined {
  if (/^[^\s@<>?&]+@[^\s@<>?&]+\.[^\s@<>?&]+$/.test(contact)) return `mailto:${contact}`;
  return URL.canParse(contact) && new URL(contact).protocol === "https:" ? contact : undefined;
}

/** A day and a time in words, in UTC, since the page does not know where its reader is. */
export function Moment({ ms }: { readonly ms: number }) {
  const date = new Date(ms);
  const words = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeStyle: "short", timeZone: "UTC" }).format(
    date,
  );
  return <time datetime={date.toISOString()}>{words} UTC</time>;
}

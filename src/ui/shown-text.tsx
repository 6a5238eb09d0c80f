// Shows text that this server did not write: from a database, a client or an assistant. Invisible characters become code points, and long
// text is cut to an excerpt that opens without a script.
import { countOf } from "../lib/count-of.ts";
import { findCut } from "../lib/text-cut.ts";
import { escapeInvisible } from "../lib/visible-text.ts";

const MAX_EXCERPT_CHARACTERS = 240;
/** How much of the text before a mark an excerpt has. */
const MAX_LEAD_CHARACTERS = 60;

/** A part of a text, in UTF-16 units. */
interface TextRange {
  readonly start: number;
  readonly end: number;
}

interface ShownTextProps {
  readonly text: string;
  /** The part to mark. An excerpt begins near it. */
  readonly marked?: TextRange | undefined;
}

/** Renders a text, with its line ends. A longer one than 240 characters becomes an excerpt with the whole text behind it. */
export function ShownText({ text, marked = { start: 0, end: 0 } }: ShownTextProps) {
  if (text.length <= MAX_EXCERPT_CHARACTERS)
    return (
      <bdi class="text">
        <Part text={text} from={0} to={text.length} marked={marked} />
      </bdi>
    );
  const from = findCut(text, Math.max(0, marked.start - MAX_LEAD_CHARACTERS));
  const to = findCut(text, from + MAX_EXCERPT_CHARACTERS, from);
  return (
    <details>
      <summary>
        <bdi class="text excerpt">
          {from > 0 && "…"}
          <Part text={text} from={from} to={to} marked={marked} />
          {to < text.length && "…"}
        </bdi>{" "}
        <span class="small more">All {countOf(text.length, "character")}</span>
      </summary>
      <bdi class="text">
        <Part text={text} from={0} to={text.length} marked={marked} />
      </bdi>
    </details>
  );
}

interface PartProps {
  readonly text: string;
  readonly from: number;
  readonly to: number;
  readonly marked: TextRange;
}

function Part({ text, from, to, marked }: PartProps) {
  const start = Math.min(Math.max(marked.start, from), to);
  const end = Math.min(Math.max(marked.end, start), to);
  return (
    <>
      {showLines(text.slice(from, start))}
      {end > start && <mark>{showLines(text.slice(start, end))}</mark>}
      {showLines(text.slice(end, to))}
    </>
  );
}

/** Shows the invisible characters of a text, and keeps its lines apart. */
function showLines(text: string): string {
  return text.replaceAll(/[^\n\t]+/g, escapeInvisible);
}

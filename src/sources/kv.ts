// A KV namespace as a source of documents. Keys name them, Markdown headings give them titles; bytes are sized, not shown.
import { AppError } from "../errors.ts";
import type { DocumentDataset, SourceDeclaration } from "../policy/model.ts";
import { governDocument } from "./source.ts";
import type { AllowedDecision, DocumentSource } from "./source.ts";

/** KV answers at most this many keys in one bulk read. */
const KEYS_PER_READ = 100;

/** Builds the source of one declared KV binding. */
export function createKvSource(
  declaration: SourceDeclaration,
  dataset: DocumentDataset,
  namespace: KVNamespace,
): DocumentSource {
  return {
    kind: "kv",
    declaration,
    dataset,
    async keys(decision, maxKeys) {
      requireDecision(decision, dataset);
      const listed = await answeredBy(declaration, namespace.list({ limit: maxKeys }));
      return { keys: listed.keys.map((key) => key.name), more: !listed.list_complete };
    },
    async read(decision, keys) {
      requireDecision(decision, dataset);
      const documents = [];
      for (let start = 0; start < keys.length; start += KEYS_PER_READ) {
        const batch = keys.slice(start, start + KEYS_PER_READ).filter(isKey);
        if (batch.length === 0) continue;
        const values = await answeredBy(declaration, namespace.get(batch, "text"));
        for (const key of batch) {
          const text = values.get(key) ?? null;
          if (text === null) continue;
          const shown = isBinary(text) ? await nameBinary(namespace, key) : text;
          documents.push(governDocument({ key, title: titleOf(key, shown), text: shown }));
        }
      }
      return documents;
    },
  };
}

/** Share of characters that are no UTF-8 in a value that is no text. */
const MIN_ILLEGIBLE = 0.01;

/** Whether a value that was read as text is none: an image, an archive, a document of an office program. */
function isBinary(text: string): boolean {
  if (text.includes("\u0000")) return true;
  const illegible = text.split("\uFFFD").length - 1;
  return illegible > 0 && illegible >= text.length * MIN_ILLEGIBLE;
}

/** What stands for bytes that nobody could read. */
async function nameBinary(namespace: KVNamespace, key: string): Promise<string> {
  const bytes = (await namespace.get(key, "arrayBuffer"))?.byteLength ?? 0;
  return `This is no text: ${bytes} bytes, which are not shown.`;
}

/** KV refuses others instead of having nothing under them. */
function isKey(key: string): boolean {
  return key !== "" && key !== "." && key !== ".." && new TextEncoder().encode(key).length <= 512;
}

/** The decision in hand must be the one on this dataset: a mix-up is a defect, not a refusal. */
function requireDecision(decision: AllowedDecision, dataset: DocumentDataset): void {
  if (decision.dataset.id !== dataset.id)
    throw new TypeError(`a decision on ${decision.dataset.id} does not open ${dataset.id}`);
}

async function answeredBy<T>({ name }: SourceDeclaration, answer: Promise<T>): Promise<T> {
  return answer.catch((cause: unknown) => {
    throw new AppError(
      "source_unavailable",
      `The source ${name} does not answer at the moment. Try again in a minute.`,
      { cause },
    );
  });
}

/** The first Markdown heading, else the key. */
function titleOf(key: string, text: string): string {
  return /^#{1,3}[ \t]+(.+?)[ \t]*$/m.exec(text)?.[1] ?? key;
}

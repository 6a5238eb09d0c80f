// Loads a policy file, and reports every mistake in it with file, line and column: in its syntax, its imports and its JSON files before
// it runs, an exception of the operator's own code, and what `defineGatehouse` refuses.
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { Gatehouse } from "../../src/config/define-gatehouse.ts";
import { formatPath } from "../../src/policy/policy-problem.ts";
import type { PolicyFileError, PolicyProblem } from "../../src/policy/policy-problem.ts";
import { CliError } from "../kit/cli-error.ts";
import { isOwnModule, listImports, readSourceGraph } from "./source-graph.ts";
import type { SourceGraph } from "./source-graph.ts";
import { findPath } from "./source-path.ts";
import { offsetOf } from "./source-text.ts";
import type { SourceProblem } from "./source-text.ts";

/** A mistake with its place as text: `src/gatehouse.config.ts:12:5`. */
interface PlacedProblem {
  readonly place: string;
  readonly message: string;
}

/** Loads the policy file at a path below `folder`. Throws `CliError` with the place of each mistake, relative to `folder`. */
export async function loadPolicyFile(file: string, folder: string): Promise<Gatehouse> {
  const graph = requireReadable(file, folder);
  try {
    const loaded: { readonly default?: unknown } = await import(file);
    if (isGatehouse(loaded.default)) return loaded.default;
  } catch (error) {
    const problems = placeFailure(error, graph, folder);
    throw problems === undefined ? error : policyError(problems, error);
  }
  const message = "the file does not export a policy. End it with: export default defineGatehouse({ … });";
  throw policyError([placeProblem(graph, folder, { ...(findPath(graph, []) ?? { file, offset: 0 }), message })]);
}

/**
 * Checks a policy file as far as that is possible without running it: its syntax, its imports and its JSON files. What is wrong in the
 * file `rewritten` does not count, because the caller writes it anew.
 */
export function requireReadable(file: string, folder: string, rewritten?: string): SourceGraph {
  const graph = readSourceGraph(file);
  const problems = graph.problems.filter((problem) => problem.file !== rewritten);
  if (problems.length === 0) return graph;
  throw policyError(problems.map((problem) => placeProblem(graph, folder, problem)));
}

/**
 * Checks a data file of a policy and its problems, if `parse` finds any in its text. Throws `CliError` with the place of each mistake.
 */
export function requireValidData(
  file: string,
  folder: string,
  parse: (data: unknown) => readonly PolicyProblem[],
): void {
  const graph = requireReadable(file, folder);
  const problems = parse(JSON.parse(graph.files.get(file)?.text ?? ""));
  if (problems.length > 0)
    throw policyError(problems.map((problem) => placePolicyProblem({ ...problem, file }, graph, folder)));
}

/** Writes problems of a policy that was loaded from a file as lines, each with its place. */
export function placeProblems(file: string, folder: string, problems: readonly PolicyProblem[]): readonly string[] {
  if (problems.length === 0) return [];
  const graph = requireReadable(file, folder);
  return problems
    .map((problem) => placePolicyProblem(problem, graph, folder))
    .map(({ place, message }) => `${place}: ${message}`);
}

function policyError(placedProblems: readonly PlacedProblem[], cause?: unknown): CliError {
  const problems = placedProblems.toSorted((one, other) =>
    one.place.localeCompare(other.place, "en", { numeric: true }),
  );
  const [first] = problems;
  const lines = problems.map(({ place, message }) => `${place}: ${message}`);
  const title = problems.length === 1 ? "The policy has a problem:" : `The policy has ${problems.length} problems:`;
  return new CliError([title, ...lines].join("\n"), {
    hint: `Correct ${first === undefined ? "it" : first.place.replace(/(?::\d+)+$/, "")}, then run the command again.`,
    ...(cause === undefined ? {} : { cause }),
  });
}

function isGatehouse(value: unknown): value is Gatehouse {
  return typeof value === "object" && value !== null && "policy" in value && "organisation" in value;
}

function placeProblem(graph: SourceGraph, folder: string, { message, ...place }: SourceProblem): PlacedProblem {
  return { place: placeOf(graph, folder, place), message };
}

/** Describes a failed import; undefined for a defect of Gatehouse. */
function placeFailure(error: unknown, graph: SourceGraph, folder: string): readonly PlacedProblem[] | undefined {
  if (isPolicyFileError(error)) return error.problems.map((problem) => placePolicyProblem(problem, graph, folder));
  const problem = findMissingPackage(error, graph) ?? findThrown(error, graph);
  return problem === undefined ? undefined : [placeProblem(graph, folder, problem)];
}

/** The policy of another revision has a class of its own, so the class cannot be compared. */
function isPolicyFileError(error: unknown): error is PolicyFileError {
  return error instanceof Error && error.name === "PolicyFileError" && "problems" in error;
}

function placePolicyProblem(problem: PolicyProblem, graph: SourceGraph, folder: string): PlacedProblem {
  const { path: keys, file, message } = problem;
  const dataFile = file === undefined ? undefined : path.resolve(folder, file);
  const found = findPath(graph, keys, dataFile);
  const text = `${formatPath(keys)}: ${message}`;
  if (found === undefined) return { place: file ?? path.relative(folder, graph.entry), message: text };
  const written = found.written.length === 0 ? "the whole policy" : formatPath(found.written);
  const note = found.isComputed ? ` (Code computes this; the position is that of ${written}.)` : "";
  return { place: placeOf(graph, folder, found), message: `${text}${note}` };
}

function findMissingPackage(error: unknown, { files }: SourceGraph): SourceProblem | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (!(error instanceof Error) || !["ERR_MODULE_NOT_FOUND", "ERR_PACKAGE_PATH_NOT_EXPORTED"].includes(String(code)))
    return undefined;
  const modules = [...files.values()].filter((source) => source.kind === "module");
  for (const module of modules)
    for (const { source, specifier, target } of isOwnModule(module.file) ? [] : listImports(module))
      if (
        target === undefined &&
        error.message.includes(
          `'${specifier
            .split("/")
            .slice(0, specifier.startsWith("@") ? 2 : 1)
            .join("/")}'`,
        )
      )
        return {
          file: module.file,
          offset: source.range[0],
          message: `there is no package ${specifier}. Install it: npm install ${specifier}`,
        };
  return undefined;
}

/** An exception whose innermost frame outside Node and packages is in one of the operator's files. */
function findThrown(error: unknown, { entry, files }: SourceGraph): SourceProblem | undefined {
  if (!(error instanceof Error))
    return {
      file: entry,
      offset: 0,
      message: `the code of the policy throws ${JSON.stringify(error) ?? String(error)}.`,
    };
  const message = `the code of the policy fails: ${error.name}: ${error.message}`;
  for (const [file, line, column] of listFrames(error.stack ?? "")) {
    const source = files.get(file);
    if (source === undefined || isOwnModule(file)) return undefined;
    return { file, offset: offsetOf(source.text, line, column), message };
  }
  return undefined;
}

/** The places of a stack outside Node and packages, innermost first. */
function listFrames(stack: string): readonly (readonly [string, number, number])[] {
  const [first = "", , arrow = ""] = stack.split("\n");
  // Node puts the place of a syntax that it does not take before the message, with a line of arrows below the code.
  const [, own, ownLine] = /^((?:file:\/\/|\/|[A-Z]:\\).+\.ts):(\d+)$/.exec(first) ?? [];
  const top = own === undefined ? [] : [[toPath(own), Number(ownLine), Math.max(arrow.indexOf("^"), 0) + 1] as const];
  const frames = [...stack.matchAll(/^ +at .*?\(?(file:\/\/[^\s()]+|\/[^\s()]+):(\d+):(\d+)\)?$/gm)].map(
    ([, file = "", line, column]) => [toPath(file), Number(line), Number(column)] as const,
  );
  return [...top, ...frames].filter(([file]) => !file.includes(`${path.sep}node_modules${path.sep}`));
}

function toPath(file: string): string {
  return file.startsWith("file://") ? fileURLToPath(file.replace(/\?.*$/, "")) : file;
}

/** Writes a place as editors and terminals link it. */
function placeOf(
  { files }: SourceGraph,
  folder: string,
  { file, text = files.get(file)?.text, offset }: Omit<SourceProblem, "message">,
): string {
  const name = path.relative(folder, file);
  if (text === undefined) return name;
  const before = text.slice(0, offset).split("\n");
  return `${name}:${before.length}:${(before.at(-1) ?? "").length + 1}`;
}

// Layer 4 of governed SQL: checks what the database itself reports, in the transaction that runs the statement. Its schema must be the one
// that was copied, and its compiled program may read only permitted tables, unless that program already passed over the same copy.
import type { SchemaObject } from "./schema-objects.ts";

/** A line of EXPLAIN. */
export interface Instruction {
  readonly opcode: string;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
}

/** Checks whether the database's objects equal the copied ones, text for text. */
export function isSameSchema(copied: readonly SchemaObject[], actual: readonly SchemaObject[]): boolean {
  const copiedByName = new Map(copied.map((object) => [object.name, object]));
  return (
    copied.length === actual.length && actual.every((object) => isSameObject(copiedByName.get(object.name), object))
  );
}

function isSameObject(copied: SchemaObject | undefined, actual: SchemaObject): boolean {
  return (
    copied !== undefined &&
    copied.type === actual.type &&
    copied.table === actual.table &&
    copied.rootPage === actual.rootPage &&
    copied.sql === actual.sql
  );
}

/** What a program may open. */
interface ProgramPermissions {
  /** Root pages that the program may read. */
  readonly rootPages: ReadonlySet<number>;
  /** Whether it may open table-valued functions, which layer 3 allows by name. */
  readonly allowsTableFunctions: boolean;
}

/** Instructions that compute, move a cursor that is open, or jump. */
const HARMLESS_OPCODES = new Set(
  [
    "Init Goto Gosub Return InitCoroutine EndCoroutine Yield HaltIfNull Halt Integer Int64 Real String8 String",
    "BeginSubrtn Null SoftNull Blob Variable Move Copy SCopy IntCopy ResultRow Concat Add Subtract Multiply Divide",
    "Remainder CollSeq BitAnd BitOr ShiftLeft ShiftRight AddImm MustBeInt RealAffinity Cast Eq Ne Lt Le Gt Ge ElseEq",
    "Permutation Compare Jump And Or IsTrue Not BitNot Once If IfNot IsNull IsType ZeroOrNull NotNull IfNullRow",
    "Offset Column TypeCheck Affinity MakeRecord Count SequenceTest Close ColumnsUsed SeekLT SeekLE SeekGE SeekGT",
    "SeekScan SeekHit IfNotOpen IfNoHope NoConflict NotFound Found SeekRowid NotExists Sequence RowCell SorterCompare",
    "SorterData RowData Rowid NullRow SeekEnd Last IfSizeBetween SorterSort Sort Rewind IfEmpty SorterNext Prev Next",
    "DeferredSeek IdxRowid FinishSeek IdxLE IdxGT IdxLT IdxGE ResetSorter RowSetAdd RowSetRead RowSetTest IfPos",
    "OffsetLimit IfNotZero DecrJumpZero AggInverse AggStep AggStep1 AggValue AggFinal Function PureFunc VFilter",
    "VColumn VNext VInitIn FilterAdd Filter Trace Noop Explain Abortable ClrSubtype GetSubtype SetSubtype ReleaseReg",
  ].flatMap((opcodes) => opcodes.split(" ")),
);
/** Instructions that open a temporary table of the statement, which it may also write. */
const OPENS_TEMPORARY = new Set(["OpenEphemeral", "OpenAutoindex", "OpenPseudo", "OpenDup", "SorterOpen"]);
const WRITES_TEMPORARY = new Set(["Insert", "Delete", "IdxInsert", "IdxDelete", "NewRowid", "SorterInsert", "Clear"]);
const MAIN_DATABASE = 0;

/** Finds the first instruction that is not permitted; undefined if there is none. */
export function findForbiddenInstruction(
  program: readonly Instruction[],
  { rootPages, allowsTableFunctions }: ProgramPermissions,
): Instruction | undefined {
  const temporaryCursors = new Set(program.filter(({ opcode }) => OPENS_TEMPORARY.has(opcode)).map(({ p1 }) => p1));
  const databaseCursors = new Set(
    program.filter(({ opcode }) => opcode === "OpenRead" || opcode === "ReopenIdx").map(({ p1 }) => p1),
  );
  return program.find(({ opcode, p1, p2, p3 }) => {
    switch (opcode) {
      case "Transaction":
        return p1 !== MAIN_DATABASE || p2 !== 0;
      case "OpenRead":
      case "ReopenIdx":
        return p3 !== MAIN_DATABASE || !rootPages.has(p2);
      case "VOpen":
        return !allowsTableFunctions;
      default:
        if (WRITES_TEMPORARY.has(opcode)) return !temporaryCursors.has(p1) || databaseCursors.has(p1);
        return !HARMLESS_OPCODES.has(opcode) && !OPENS_TEMPORARY.has(opcode);
    }
  });
}

/** Checks whether a program reads one of these root pages. */
export function readsPages(program: readonly Instruction[], pages: ReadonlySet<number>): boolean {
  return program.some(({ opcode, p2 }) => (opcode === "OpenRead" || opcode === "ReopenIdx") && pages.has(p2));
}

/** Lists the root pages of the tables on which a program builds an automatic index, which it fills with a scan of the table. */
export function listAutoIndexedPages(program: readonly Instruction[]): readonly number[] {
  const pageByCursor = new Map(
    program.flatMap(({ opcode, p1, p2 }) => (opcode === "OpenRead" ? [[p1, p2] as const] : [])),
  );
  return program.flatMap(({ opcode, p1 }, at) => {
    if (opcode !== "OpenAutoindex") return [];
    const rest = program.slice(at);
    const fillInstructions = rest.slice(
      0,
      rest.findIndex((instruction) => instruction.opcode === "IdxInsert" && instruction.p1 === p1),
    );
    return fillInstructions.flatMap((instruction) =>
      instruction.opcode === "Rewind" ? (pageByCursor.get(instruction.p1) ?? []) : [],
    );
  });
}

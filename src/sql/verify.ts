// Layer 4 of governed SQL: what the database itself says, in the transaction that runs the statement. Its schema must be the one that
// was copied, and the program that it made must read only the tables that were opened, unless it was seen to over that copy before.
import type { SchemaObject } from "./schema.ts";

/** A line of EXPLAIN. */
export interface Instruction {
  readonly opcode: string;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
}

/** Whether the database's objects are those that were copied, text for text. */
export function isSameSchema(copied: readonly SchemaObject[], found: readonly SchemaObject[]): boolean {
  const known = new Map(copied.map((object) => [object.name, object]));
  return copied.length === found.length && found.every((object) => isSameObject(known.get(object.name), object));
}

function isSameObject(one: SchemaObject | undefined, other: SchemaObject): boolean {
  return (
    one !== undefined &&
    one.type === other.type &&
    one.table === other.table &&
    one.rootPage === other.rootPage &&
    one.sql === other.sql
  );
}

export interface ProgramOptions {
  /** Root pages that may be read. */
  readonly rootPages: ReadonlySet<number>;
  /** Whether table-valued functions were allowed by name. */
  readonly allowsTableFunctions: boolean;
}

/** Instructions that compute, move about in what is open, or jump. */
const HARMLESS = new Set(
  (
    "Init Goto Gosub Return InitCoroutine EndCoroutine Yield HaltIfNull Halt Integer Int64 Real String8 String BeginSubrtn Null SoftNull Blob " +
    "Variable Move Copy SCopy IntCopy ResultRow Concat Add Subtract Multiply Divide Remainder CollSeq BitAnd BitOr ShiftLeft ShiftRight AddImm " +
    "MustBeInt RealAffinity Cast Eq Ne Lt Le Gt Ge ElseEq Permutation Compare Jump And Or IsTrue Not BitNot Once If IfNot IsNull IsType " +
    "ZeroOrNull NotNull IfNullRow Offset Column TypeCheck Affinity MakeRecord Count SequenceTest Close ColumnsUsed SeekLT SeekLE SeekGE SeekGT " +
    "SeekScan SeekHit IfNotOpen IfNoHope NoConflict NotFound Found SeekRowid NotExists Sequence RowCell SorterCompare SorterData RowData Rowid " +
    "NullRow SeekEnd Last IfSizeBetween SorterSort Sort Rewind IfEmpty SorterNext Prev Next DeferredSeek IdxRowid FinishSeek IdxLE IdxGT IdxLT " +
    "IdxGE ResetSorter RowSetAdd RowSetRead RowSetTest IfPos OffsetLimit IfNotZero DecrJumpZero AggInverse AggStep AggStep1 AggValue AggFinal " +
    "Function PureFunc VFilter VColumn VNext VInitIn FilterAdd Filter Trace Noop Explain Abortable ClrSubtype GetSubtype SetSubtype ReleaseReg"
  ).split(" "),
);
/** Instructions that open something of the statement's own, which it may also write. */
const OPENS_OWN = new Set(["OpenEphemeral", "OpenAutoindex", "OpenPseudo", "OpenDup", "SorterOpen"]);
const WRITES_OWN = new Set(["Insert", "Delete", "IdxInsert", "IdxDelete", "NewRowid", "SorterInsert", "Clear"]);
const MAIN_DATABASE = 0;

/** The first instruction that may not be, if there is one. */
export function forbiddenInstruction(
  program: readonly Instruction[],
  { rootPages, allowsTableFunctions }: ProgramOptions,
): Instruction | undefined {
  const own = new Set(program.filter(({ opcode }) => OPENS_OWN.has(opcode)).map(({ p1 }) => p1));
  const foreign = new Set(
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
        if (WRITES_OWN.has(opcode)) return !own.has(p1) || foreign.has(p1);
        return !HARMLESS.has(opcode) && !OPENS_OWN.has(opcode);
    }
  });
}

/** Whether it reads one of these root pages. */
export function readsPages(program: readonly Instruction[], pages: ReadonlySet<number>): boolean {
  return program.some(({ opcode, p2 }) => (opcode === "OpenRead" || opcode === "ReopenIdx") && pages.has(p2));
}

/** The root pages of tables on which it makes an index for itself: it fills that by a pass over the table. */
export function indexedPages(program: readonly Instruction[]): readonly number[] {
  const pageOf = new Map(program.flatMap(({ opcode, p1, p2 }) => (opcode === "OpenRead" ? [[p1, p2] as const] : [])));
  return program.flatMap(({ opcode, p1 }, at) => {
    if (opcode !== "OpenAutoindex") return [];
    const rest = program.slice(at);
    const filling = rest.slice(
      0,
      rest.findIndex((one) => one.opcode === "IdxInsert" && one.p1 === p1),
    );
    return filling.flatMap((one) => (one.opcode === "Rewind" ? (pageOf.get(one.p1) ?? []) : []));
  });
}

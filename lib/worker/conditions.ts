/**
 * What a SELECT's WHERE says of each table in its FROM, for `partition-condition.ts`. It is pure, on DuckDB's own
 * reading of the query.
 *
 * Rows of a table that don't meet a condition must make no difference to the query, joined to others or not. So only
 * comparisons with values that are written down count, which NULL meets no more than another value does: a row that a join
 * has filled up with NULL falls out like the one that was left out. Joins that choose among the rows of a side (ASOF, ANTI,
 * POSITIONAL) and samples, which come before WHERE, leave nothing to be said.
 */
import type { Comparison, Condition } from '../contract/index.ts'

type Node = Readonly<Record<string, unknown>>

/** A table of the catalog in the FROM of one SELECT. */
interface Leaf {
  readonly node: Node
  /** Lower case: the name under which its columns are known. */
  readonly alias: string
}

const JOIN_TYPES = new Set(['INNER', 'LEFT', 'RIGHT', 'OUTER'])
const JOIN_REFS = new Set(['REGULAR', 'CROSS'])
/** Beyond these, nothing is said: what is long to send costs more than it spares. */
const MOST_VALUES = 1000
const DEEPEST = 20

interface Naming {
  /** It is a table of the catalog, and no WITH query. */
  readonly isTable: (node: Node) => boolean
  /** Its place among all that the query reads. */
  readonly placeOf: (node: Node) => number
}

/** For each table reference in the FROM of this SELECT of which something is known: what. */
export function conditionsOf(select: Node, naming: Naming): Map<Node, Condition> {
  const found = new Map<Node, Condition>()
  const where = select.where_clause
  if (where === null || where === undefined || select.sample !== null) return found
  const from = leavesOf(select.from_table as Node, naming)
  if (from === null) return found
  for (const leaf of from.leaves) {
    if (from.leaves.some((other) => other !== leaf && other.alias === leaf.alias)) continue
    const condition = new Reading(leaf, from, naming).condition(where as Node, 0)
    if (condition !== null) found.set(leaf.node, condition)
  }
  return found
}

interface From {
  readonly leaves: Leaf[]
  /** Nothing else is there, whose columns nobody knows. */
  isClosed: boolean
}

/** Null where rows that fall out later make a difference. */
function leavesOf(root: Node, naming: Naming): From | null {
  const from: From = { leaves: [], isClosed: true }
  // Not by recursion: a FROM can be deeper than our stack.
  const todo = [root]
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    if (node.type === 'JOIN') {
      if (!JOIN_TYPES.has(String(node.join_type)) || !JOIN_REFS.has(String(node.ref_type)))
        return null
      if (node.sample !== null) return null
      todo.push(node.left as Node, node.right as Node)
    } else if (node.type === 'BASE_TABLE' && isPlain(node) && naming.isTable(node)) {
      const alias = String(node.alias === '' ? node.table_name : node.alias).toLowerCase()
      from.leaves.push({ node, alias })
    } else if (node.type !== 'EMPTY') from.isClosed = false
  }
  return from
}

const isPlain = ({ sample, column_name_alias: names }: Node): boolean =>
  sample === null && Array.isArray(names) && names.length === 0

const COMPARED: Readonly<Record<string, Comparison['is']>> = {
  COMPARE_EQUAL: 'in',
  COMPARE_LESSTHAN: '<',
  COMPARE_LESSTHANOREQUALTO: '<=',
  COMPARE_GREATERTHAN: '>',
  COMPARE_GREATERTHANOREQUALTO: '>=',
}
const TURNED: Readonly<Record<Comparison['is'], Comparison['is']>> = {
  in: 'in',
  ...{ '<': '>', '<=': '>=', '>': '<', '>=': '<=' },
}

type Written = Pick<Comparison, 'written'> & { readonly value: string }

class Reading {
  readonly #leaf: Leaf
  readonly #from: From
  readonly #naming: Naming
  #values = 0

  constructor(leaf: Leaf, from: From, naming: Naming) {
    this.#leaf = leaf
    this.#from = from
    this.#naming = naming
  }

  /** Null: nothing is known. */
  condition(node: Node, depth: number): Condition | null {
    if (depth > DEEPEST) return null
    switch (node.type) {
      case 'CONJUNCTION_AND': {
        const all = this.#each(node, depth).filter((one) => one !== null)
        return all.length === 0 ? null : { all }
      }
      case 'CONJUNCTION_OR': {
        const any = this.#each(node, depth)
        const known = any.filter((one) => one !== null)
        return known.length < any.length ? null : { any: known }
      }
      case 'COMPARE_BETWEEN': {
        const from = this.#compared(node.input, node.lower, '>=')
        const to = this.#compared(node.input, node.upper, '<=')
        const all = [from, to].filter((one) => one !== null)
        return all.length === 0 ? null : { all }
      }
      case 'COMPARE_IN':
        return this.#in(node.children as Node[])
      default: {
        const is = COMPARED[String(node.type)]
        if (is === undefined) return null
        const { left, right } = node
        return this.#compared(left, right, is) ?? this.#compared(right, left, TURNED[is])
      }
    }
  }

  #each(node: Node, depth: number): (Condition | null)[] {
    return (node.children as Node[]).map((child) => this.condition(child, depth + 1))
  }

  #compared(left: unknown, right: unknown, is: Comparison['is']): Comparison | null {
    const written = writtenIn(right as Node)
    return written === null ? null : this.#comparison(left as Node, is, [written])
  }

  #in([column, ...list]: readonly Node[]): Comparison | null {
    const values = list.map(writtenIn)
    const known = values.filter((one) => one !== null)
    if (column === undefined || known.length < values.length) return null
    return this.#comparison(column, 'in', known)
  }

  #comparison(node: Node, is: Comparison['is'], values: readonly Written[]): Comparison | null {
    const named = this.#column(node)
    const written = values[0]?.written
    this.#values += values.length
    if (named === null || written === undefined || this.#values > MOST_VALUES) return null
    if (values.some((one) => one.written !== written)) return null
    return { ...named, is, written, values: values.map(({ value }) => value) }
  }

  #column(node: Node): Pick<Comparison, 'column' | 'rivals'> | null {
    if (node.type !== 'COLUMN_REF') return null
    const [first = '', second, ...more] = node.column_names as string[]
    if (more.length > 0) return null
    if (second !== undefined) {
      return first.toLowerCase() === this.#leaf.alias ? { column: second, rivals: [] } : null
    }
    if (!this.#from.isClosed) return null
    const others = this.#from.leaves.filter((one) => one !== this.#leaf)
    return { column: first, rivals: others.map((one) => this.#naming.placeOf(one.node)) }
  }
}

/** A value that stands in the query itself; null for another expression, and for NULL. */
function writtenIn(node: Node): Written | null {
  if (node.type === 'OPERATOR_CAST') {
    const { child, cast_type: type, try_cast: isTry } = node
    const inner = writtenIn(child as Node)
    if ((type as Node).id !== 'DATE' || isTry !== false || inner?.written !== 'text') return null
    return { written: 'date', value: inner.value }
  }
  if (node.type !== 'VALUE_CONSTANT') return null
  const { type, is_null: isNull, value } = node.value as Node
  if (isNull !== false) return null
  if ((type as Node).id === 'VARCHAR' && typeof value === 'string')
    return { written: 'text', value }
  const isWhole = INTEGERS.has(String((type as Node).id)) && Number.isSafeInteger(value)
  return isWhole ? { written: 'integer', value: String(value) } : null
}

const INTEGERS = new Set(['TINYINT', 'SMALLINT', 'INTEGER', 'BIGINT'])

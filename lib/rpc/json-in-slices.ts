/**
 * An answer as JSON. A long list in it, of tables or of queries, is written in slices: a whole one takes as long as it is,
 * and nobody else is answered meanwhile.
 */
import { inSlices, type Turns } from '../base/slices.ts'

/** Shorter ones are written in one piece. */
const LONG = 500

export async function jsonInSlices(answer: unknown, turns?: Turns): Promise<string> {
  const fields = Object.entries(answer ?? {})
  const long = fields.find(([, value]) => Array.isArray(value) && value.length > LONG)
  if (Array.isArray(answer) || long === undefined) return JSON.stringify(answer)
  const [name, list] = long as [string, unknown[]]
  const items: string[] = []
  // As JSON does it: what is nothing in a list is null.
  await inSlices(list, (item) => items.push(JSON.stringify(item) ?? 'null'), turns)
  const others = JSON.stringify(Object.fromEntries(fields.filter(([field]) => field !== name)))
  const before = others === '{}' ? '{' : `${others.slice(0, -1)},`
  return `${before}${JSON.stringify(name)}:[${items.join(',')}]}`
}

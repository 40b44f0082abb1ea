/**
 * An answer as JSON. A long list in it, of tables or of queries, is written in slices: a whole one takes as long as it is,
 * and nobody else is answered meanwhile.
 */
import { inSlices, type Turns } from '../base/slices.ts'

/** Shorter ones are written in one piece. */
const LONG = 500
/** So many items are made bytes at a time: a text of many megabytes takes long, too, on its way into the socket. */
const PIECE_ITEMS = 256

export async function jsonInSlices(answer: unknown, turns?: Turns): Promise<string | Buffer> {
  const fields = Object.entries(answer ?? {})
  const long = fields.find(([, value]) => Array.isArray(value) && value.length > LONG)
  if (Array.isArray(answer) || long === undefined) return JSON.stringify(answer)
  const [name, list] = long as [string, unknown[]]
  const others = JSON.stringify(Object.fromEntries(fields.filter(([field]) => field !== name)))
  const before = others === '{}' ? '{' : `${others.slice(0, -1)},`
  const pieces = [Buffer.from(`${before}${JSON.stringify(name)}:[`)]
  let items: string[] = []
  await inSlices(
    list.keys(),
    (at) => {
      // As JSON does it: what is nothing in a list is null.
      items.push(JSON.stringify(list[at]) ?? 'null')
      const isLast = at === list.length - 1
      if (!isLast && items.length < PIECE_ITEMS) return
      pieces.push(Buffer.from(`${items.join(',')}${isLast ? ']}' : ','}`))
      items = []
    },
    turns,
  )
  return Buffer.concat(pieces)
}

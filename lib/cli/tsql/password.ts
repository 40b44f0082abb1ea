/**
 * Where a user's password comes from, when a master wants one: `TAJO_PASSWORD`, then `~/.tajopass`, then whoever sits at the
 * terminal. `~/.tajopass` has the form of PostgreSQL's `.pgpass`: lines of `host:port:database:user:password`, of which each
 * of the first four may be `*`, and `\:` and `\\` stand for themselves; the first that fits counts. A file that others may
 * read is not used.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { splitHostPort } from '../../base/host-port.ts'
import { QueryError } from '../../client/index.ts'

export interface PasswordAsked {
  readonly user: string
  /** Client RPC addresses of the masters. */
  readonly masters: readonly string[]
  readonly database: string
}

interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  readonly home: string
  /** Null where nobody sits there. */
  readonly ask: ((question: string) => Promise<string>) | null
}

const FILE = '.tajopass'
const OTHERS = 0o077

/** Rejects with QueryError where there is none, saying what to do. */
export async function passwordFor(asked: PasswordAsked, around: Surroundings): Promise<string> {
  const { env, home, ask } = around
  const { user } = asked
  if (env.TAJO_PASSWORD) return env.TAJO_PASSWORD
  const kept = passwordIn(await fileText(join(home, FILE)), asked)
  if (kept !== null) return kept
  if (ask !== null) return ask(`Password for user ${user}: `)
  throw new QueryError(
    'refused',
    `log in: tajo user add ${user}, which the administrator has to type, makes a user of this name; then give his password in TAJO_PASSWORD, in ~/${FILE} (${asked.masters[0] ?? '*:*'}:*:${user}:PASSWORD) or at a terminal`,
  )
}

async function fileText(path: string): Promise<string> {
  try {
    const { mode } = await stat(path)
    if ((mode & OTHERS) !== 0) {
      const shown = (mode & 0o777).toString(8)
      throw new QueryError(
        'refused',
        `${path} may be read by others (mode 0${shown}), and holds passwords; allowed is 0600. Mend it: chmod 600 ${path}`,
      )
    }
    return await readFile(path, 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return ''
    throw error
  }
}

/** The password of the first line that fits; null for none. Pure. */
export function passwordIn(
  text: string,
  { user, masters, database }: PasswordAsked,
): string | null {
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith('#')) continue
    const [host, port, of, name, password] = fieldsOf(line)
    if (password === undefined || password === '') continue
    const fits = masters.some((master) => {
      const split = splitHostPort(master)
      return split !== null && is(host, split.host) && is(port, String(split.port))
    })
    if (fits && is(of, database) && is(name, user)) return password
  }
  return null
}

const is = (pattern: string | undefined, value: string): boolean =>
  pattern === '*' || pattern === value

/** Four, and the rest of the line, in which a colon needs no backslash. */
function fieldsOf(line: string): string[] {
  const fields = ['']
  const add = (sign: string): void => void fields.push(`${fields.pop() ?? ''}${sign}`)
  for (let at = 0; at < line.length; at++) {
    const sign = line[at] ?? ''
    const next = line[at + 1]
    if (sign === '\\' && (next === ':' || next === '\\')) {
      add(next)
      at += 1
    } else if (sign === ':' && fields.length < 5) fields.push('')
    else add(sign)
  }
  return fields
}

/** SET, UNSET and SHOW of session variables: which there are, and what each may be. The session itself is the client's. Pure. */
import { nearest } from '../../../base/nearest.ts'
import type { Session } from '../../../contract/index.ts'
import type { Named, Place, Statement } from '../../../sql/index.ts'
import { SqlError } from '../../../sql/index.ts'

interface Variable {
  readonly allowed: string
  readonly fits: (value: string) => boolean
}

const isTimeZone = (value: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: value })
    return true
  } catch {
    return false
  }
}

/** By lower-case name. `database` is not kept as a variable: it is the session's own. */
const VARIABLES: Readonly<Record<string, Variable>> = {
  timezone: { allowed: 'a time zone such as UTC or Asia/Seoul', fits: isTimeZone },
}

const known = (name: string, place: Place): Variable => {
  const variable = Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined
  if (variable !== undefined) return variable
  const near = nearest(name, ['database', ...Object.keys(VARIABLES)])
  const hint =
    near === null
      ? `there are database, ${Object.keys(VARIABLES).join(', ')}`
      : `did you mean ${near}?`
  throw new SqlError(`there is no session variable ${name} (${hint})`, place)
}

/** The session that the client goes on with. Throws SqlError. */
export function setVariable(
  session: Session,
  { name: given, place, value, valuePlace }: Extract<Statement, { is: 'set' }>,
  hasDatabase: (name: string) => boolean,
): Session {
  const name = given.toLowerCase()
  if (name === 'database') {
    if (!hasDatabase(value)) throw new SqlError(`database ${value} does not exist`, valuePlace)
    return { ...session, database: value }
  }
  const { allowed, fits } = known(name, place)
  if (!fits(value)) throw new SqlError(`${name} is '${value}', allowed: ${allowed}`, valuePlace)
  return { ...session, variables: { ...session.variables, [name]: value } }
}

/** Throws SqlError. */
export function unsetVariable(session: Session, given: Named): Session {
  const name = given.name.toLowerCase()
  if (name === 'database') return { ...session, database: 'default' }
  known(name, given.place)
  const { [name]: _, ...variables } = session.variables
  return { ...session, variables }
}

/** All, or the one that is asked for. Throws SqlError. */
export function variableRows({ database, variables }: Session, given: Named | null): string[][] {
  const all: Record<string, string> = { database, ...variables }
  if (given === null) return Object.entries(all)
  const name = given.name.toLowerCase()
  if (name !== 'database') known(name, given.place)
  return [[name, all[name] ?? '']]
}

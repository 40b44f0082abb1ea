/** A bench's options: whole numbers and words, after its name. A mistake is told in one line and ends the process. */
import { parseArgs } from 'node:util'

type Options = Readonly<Record<string, string | number | boolean>>
type Given<T extends Options> = {
  readonly [K in keyof T]: T[K] extends number ? number : T[K] extends boolean ? boolean : string
}

/** Each option's default tells its type. */
export function optionsOf<const T extends Options>(defaults: T): Given<T> {
  try {
    const { values } = parseArgs({
      args: process.argv.slice(3),
      options: Object.fromEntries(
        Object.entries(defaults).map(([name, value]) => [
          name,
          { type: typeof value === 'boolean' ? ('boolean' as const) : ('string' as const) },
        ]),
      ),
    })
    const given = Object.entries(defaults).map(([name, value]) => [
      name,
      valueFor(name, values[name] as string | boolean | undefined, value),
    ])
    return Object.fromEntries(given) as Given<T>
  } catch (error) {
    process.stderr.write(`bench: ${(error as Error).message}\n`)
    process.exit(2)
  }
}

function valueFor(name: string, given: string | boolean | undefined, byDefault: Options[string]) {
  if (given === undefined) return byDefault
  if (typeof byDefault !== 'number') return given
  if (/^\d{1,9}$/.test(String(given))) return Number(given)
  throw new Error(`--${name} needs a whole number, not '${given}'`)
}

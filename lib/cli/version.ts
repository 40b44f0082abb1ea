/** `tajo version`: which release this is and on which Node it runs. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Run } from './command.ts'
import { EXIT, failure } from './exit.ts'
import { json } from './print.ts'

/** The version in the install's package.json. */
export function installedVersion(home: string): string {
  const file = join(home, 'package.json')
  try {
    const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version?: unknown }
    if (typeof version === 'string') return version
  } catch (error) {
    throw failure(`can't read the version from ${file}: ${(error as Error).message}`, error)
  }
  throw failure(`${file} holds no version: TAJO_HOME must be the directory of the install`)
}

export const run: Run = async ({ home, json: asJson, output }) => {
  const version = installedVersion(home)
  const node = process.versions.node
  output.out(asJson ? json({ version, node }) : `Tajo HA ${version} (Node ${node})`)
  return EXIT.done
}

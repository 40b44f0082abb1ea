/** Writes sbom.cdx.json, which is packed and in no repository: npm runs it before it packs (`prepack`). No registry is asked. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOME } from '../support/install.ts'
import { lockedPackages } from './notice.ts'
import { billText } from './sbom.ts'

const words = ['sbom', '--sbom-format', 'cyclonedx', '--sbom-type', 'application']
const said = execFileSync('npm', [...words, '--offline'], {
  cwd: HOME,
  encoding: 'utf8',
  stdio: ['ignore', 'pipe', 'inherit'],
  maxBuffer: 1 << 26,
})
const { name } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as { name: string }
// Of the query engine's libraries only the one for this platform is here, and packed.
const shipped = new Set(
  lockedPackages().flatMap(({ id, path }) => (existsSync(join(HOME, path)) ? [id] : [])),
)
const text = billText(said, { name, ships: (id) => shipped.has(id) })
writeFileSync(join(HOME, 'sbom.cdx.json'), text)

/**
 * Run before the tests: installs the system's packages that tests need and this machine has not, as root on Debian and
 * its kin. Elsewhere, or with TAJO_TEST_PARTS=skip, it only says which tests will be skipped and what would bring them.
 */
import { spawnSync } from 'node:child_process'
import { findProgram, PARTS, type Part } from './parts.ts'

const missing = (): [string, Part][] =>
  Object.entries(PARTS).filter(([, part]: [string, Part]) => part.missing() !== null)

/** Answers null when it worked, else what apt-get said. */
function apt(...args: string[]): string | null {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  const ran = spawnSync('apt-get', ['-y', '-q', ...args], { env, encoding: 'utf8' })
  return ran.status === 0 ? null : `apt-get ${args.join(' ')} failed:\n${ran.stdout}${ran.stderr}`
}

function install(parts: readonly [string, Part][]): void {
  const packages = [...new Set(parts.flatMap(([, part]) => part.debianPackages))]
  process.stdout.write(
    `test parts: installing ${packages.join(' ')} (apt-get; TAJO_TEST_PARTS=skip says no)\n`,
  )
  const wanted = ['install', '--no-install-recommends', ...packages]
  if (apt(...wanted) === null) return
  // A new machine has no package lists, an old one outdated ones.
  const problem = apt('update') ?? apt(...wanted)
  if (problem !== null) process.stderr.write(`test parts: ${problem}\n`)
}

const skip = process.env.TAJO_TEST_PARTS === 'skip'
const able = process.getuid?.() === 0 && findProgram('apt-get') !== null
if (missing().length > 0 && able && !skip) install(missing())
for (const [name, part] of missing()) {
  process.stdout.write(
    `test parts: ${name} is missing (${part.missing()}): tests that ${part.purpose} are skipped` +
      `${process.env.CI === 'true' ? ', which fails under CI=true' : ''}; ` +
      `Debian: apt-get install ${part.debianPackages.join(' ')}\n`,
  )
}

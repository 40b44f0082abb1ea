/**
 * `npm run release -- VERSION [--dry-run]`: gives the changelog its heading and the package its version, packs, installs
 * the tarball in an empty directory and runs its demo there (two masters, a kill -9, every row), then commits and tags
 * `vVERSION`. Nothing is pushed or published. Where something fails, or with `--dry-run`, all files are as they were.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HOME } from '../support/install.ts'
import { isLater, released } from './changelog.ts'

const FILES = ['package.json', 'package-lock.json', 'CHANGELOG.md'] as const

const run = (directory: string, command: string, ...args: string[]): string =>
  execFileSync(command, args, {
    cwd: directory,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  })

function refuse(why: string): never {
  process.stderr.write(`release: ${why}\n`)
  process.exit(2)
}

function tryTarball(tarball: string): void {
  const directory = mkdtempSync(join(tmpdir(), 'tajo-release-'))
  try {
    writeFileSync(join(directory, 'package.json'), '{"private":true}\n')
    run(directory, 'npm', 'install', '--no-audit', '--no-fund', tarball)
    const tajo = join(directory, 'node_modules', '.bin', 'tajo')
    process.stdout.write(run(directory, tajo, 'version'))
    process.stdout.write(run(directory, tajo, 'demo'))
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function release(version: string, isDry: boolean): void {
  const before = new Map(FILES.map((name) => [name, readFileSync(join(HOME, name), 'utf8')]))
  const putBack = (): void => {
    for (const [name, text] of before) writeFileSync(join(HOME, name), text)
  }
  try {
    const changelog = released(before.get('CHANGELOG.md') ?? '', version, new Date())
    writeFileSync(join(HOME, 'CHANGELOG.md'), changelog)
    run(HOME, 'npm', 'version', version, '--no-git-tag-version', '--allow-same-version')
    // Packing builds anew: what has no source any more must not be in the tarball.
    rmSync(join(HOME, 'build/lib'), { recursive: true, force: true })
    rmSync(join(HOME, 'build/.tsbuildinfo'), { force: true })
    const directory = mkdtempSync(join(tmpdir(), 'tajo-pack-'))
    try {
      const packed = run(HOME, 'npm', 'pack', '--silent', '--pack-destination', directory)
      tryTarball(join(directory, packed.trim().split('\n').at(-1) ?? ''))
    } finally {
      rmSync(directory, { recursive: true })
    }
    if (isDry) {
      putBack()
      return
    }
    run(HOME, 'git', 'commit', '--quiet', '--message', `Release ${version}`, '--', ...FILES)
    run(HOME, 'git', 'tag', `v${version}`)
  } catch (error) {
    putBack()
    throw error
  }
}

const words = process.argv.slice(2)
const isDry = words.includes('--dry-run')
const [version, ...rest] = words.filter((word) => word !== '--dry-run')
if (version === undefined || rest.length > 0 || !/^\d+\.\d+\.\d+$/.test(version)) {
  refuse('which version? npm run release -- 0.2.0 [--dry-run]')
}
const { version: current } = JSON.parse(readFileSync(join(HOME, 'package.json'), 'utf8')) as {
  version: string
}
const isTagged = run(HOME, 'git', 'tag', '--list', `v${version}`).trim() !== ''
if (isTagged) refuse(`there is a tag v${version} already`)
if (version !== current && !isLater(version, current)) refuse(`${version} is before ${current}`)
if (run(HOME, 'git', 'status', '--porcelain').trim() !== '') {
  refuse('there are changes that are not committed')
}
release(version, isDry)
process.stdout.write(isDry ? `release: ${version} would do\n` : `release: v${version} is tagged\n`)

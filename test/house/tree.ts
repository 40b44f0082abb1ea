/** The TypeScript files of this clone, or of one of its commits, as texts. */
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOME } from '../support/install.ts'
import type { Tree } from './house.ts'

const isCounted = (path: string): boolean =>
  /^(?:lib|test)\/.*\.ts$/.test(path) && !path.endsWith('.d.ts')

export function treeHere(): Tree {
  const names = ['lib', 'test'].flatMap((folder) =>
    readdirSync(join(HOME, folder), { recursive: true, encoding: 'utf8' }).map(
      (name) => `${folder}/${name}`,
    ),
  )
  return new Map(
    names.filter(isCounted).map((name) => [name, readFileSync(join(HOME, name), 'utf8')]),
  )
}

export function treeOf(commit: string): Tree {
  const git = (...args: string[]): string =>
    execFileSync('git', ['-C', HOME, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 })
  const names = git('ls-tree', '-r', '--name-only', `${commit}^{commit}`, 'lib', 'test')
  return new Map(
    names
      .split('\n')
      .filter(isCounted)
      .map((name) => [name, git('show', `${commit}:${name}`)]),
  )
}

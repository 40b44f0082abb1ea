/**
 * NOTICE: whose software is in the tarball besides our own, and under which licence, with the texts that each of them asks
 * to be passed on. `npm run docs` writes it, and a test compares.
 *
 * It is made from the lock file and from what npm has installed, and is the same on each machine: a library that is there for
 * one platform only stands under the package that brings it. A package without a licence text of its own gets the text
 * that its licence is known by; one whose licence nobody here has looked at is refused.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOME } from '../support/install.ts'

interface Locked {
  readonly version?: string
  readonly license?: string
  readonly dev?: boolean
  /** Only for these: the package is one platform's. */
  readonly os?: readonly string[]
}

export interface Shipped {
  /** `name@version`. */
  readonly id: string
  readonly license: string
  /** Below the install. */
  readonly path: string
}

/** What production needs, of every platform. */
export function lockedPackages(): (Shipped & { readonly isPlatforms: boolean })[] {
  const lock = JSON.parse(readFileSync(join(HOME, 'package-lock.json'), 'utf8')) as {
    packages: Readonly<Record<string, Locked>>
  }
  return Object.entries(lock.packages)
    .filter(([path, { dev = false }]) => path !== '' && !dev)
    .map(([path, { version = '', license = 'none', os }]) => ({
      id: `${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${version}`,
      ...{ license, path, isPlatforms: os !== undefined },
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** With which of them their users may do what we ask of ours. */
const LOOKED_AT = [
  '0BSD',
  'Apache-2.0',
  'BSD-3-Clause',
  'BlueOak-1.0.0',
  'ISC',
  'LGPL-2.1-or-later',
  'MIT',
]

const MIT = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.`

const tidy = (text: string): string =>
  text
    .replaceAll('\r', '')
    .replaceAll(/[ \t]+$/gm, '')
    .replaceAll(/\n{3,}/g, '\n\n')
    .replaceAll(/^\n+|\n+$/g, '')

/** What the package itself says: its licence and notice files, or the part of its README that is one. */
function ownText(folder: string): string | null {
  const names = readdirSync(folder, { withFileTypes: true }).filter((one) => one.isFile())
  const files = names.map(({ name }) => name).sort()
  const texts = files
    .filter((name) => /^(licen[cs]e|copying|notice|copyright)/i.test(name))
    .map((name) => tidy(readFileSync(join(folder, name), 'utf8')))
  if (texts.length > 0) return texts.join('\n\n')
  const readme = files.find((name) => /^readme/i.test(name))
  if (readme === undefined) return null
  const [, part] =
    /^#+ *licen[cs]e *\n([\s\S]*)/im.exec(readFileSync(join(folder, readme), 'utf8')) ?? []
  return part?.includes('Permission is hereby granted') ? tidy(part) : null
}

/** The licence's known text, under the name of whom the package calls its author. */
function knownText({ id, license, path }: Shipped): string {
  const { author } = JSON.parse(readFileSync(join(HOME, path, 'package.json'), 'utf8')) as {
    author?: string | { name: string }
  }
  const name = typeof author === 'string' ? author : author?.name
  if (license === 'MIT' && name !== undefined) return `Copyright (c) ${name}\n\n${MIT}`
  throw new Error(`${id} has no text of its licence, ${license}: look for it, and add it here`)
}

export function licenseText(shipped: Shipped): string {
  const { id, license, path } = shipped
  if (!LOOKED_AT.includes(license)) {
    throw new Error(`${id} is under ${license}, which nobody has looked at: may we pass it on?`)
  }
  const folder = join(HOME, path)
  if (!existsSync(folder)) throw new Error(`${id} is not installed: npm ci does it`)
  return ownText(folder) ?? knownText(shipped)
}

const LINE = '='.repeat(78)
const HEAD = `Tajo HA
Its own licence is in LICENSE (Apache-2.0).

What is shipped with it has the software of others in it: as packages in node_modules, and their code in build/programs.
These are the packages, and below are the texts of their licences. This file is generated (npm run docs).

@duckdb/node-bindings brings DuckDB as a library for the platform (@duckdb/node-bindings-linux-x64 and so on), under the
same licence. That library has the software of others in it in its turn: DuckDB's source has it below third_party.

mariadb is under the LGPL. It is loaded as a package of its own from node_modules, where another version can take its place.
`

/** The whole file. */
export function noticePage(): string {
  const packages = lockedPackages().filter(({ isPlatforms }) => !isPlatforms)
  const users = new Map<string, string[]>()
  for (const one of packages) {
    const text = licenseText(one)
    users.set(text, [...(users.get(text) ?? []), one.id])
  }
  const list = packages.map(({ id, license }) => `  ${id}  ${license}`)
  const texts = [...users].map(([text, ids]) => `${LINE}\n${ids.join(', ')}\n\n${text}\n`)
  return `${HEAD}\n${list.join('\n')}\n\n${texts.join('\n')}`
}

/** The texts of this clone, and what is wrong with their words. Reads files, and changes none. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { HOME } from '../support/install.ts'
import { treeHere } from './tree.ts'
import { type Finding, findingsInSource, findingsInText } from './words.ts'

/** For operators and users. Korean has its own length of sentences; the changelog tells what was, in the words of its time. */
const FOR_OPERATORS = [
  'README.md',
  'SECURITY.md',
  'docs',
  'docs/adr',
  'docs/api',
  'docs/monitoring',
]
/** For those who work on it. */
const FOR_OURSELVES = ['CONTRIBUTING.md', 'test/README.md', 'lib/ha', 'lib/client', 'lib/catalog']

function textsAt(place: string): string[] {
  if (place.endsWith('.md')) return [place]
  return readdirSync(join(HOME, place))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${place}/${name}`)
}

export function findingsHere(): Finding[] {
  const inTexts = (places: readonly string[], isForOperators: boolean): Finding[] =>
    places
      .flatMap(textsAt)
      .flatMap((path) =>
        findingsInText(path, readFileSync(join(HOME, path), 'utf8'), isForOperators),
      )
  const sources = [...treeHere()].filter(([path]) => path.startsWith('lib/'))
  return [
    ...inTexts(FOR_OPERATORS, true),
    ...inTexts(FOR_OURSELVES, false),
    ...sources.flatMap(([path, text]) => findingsInSource(path, text)),
  ]
}

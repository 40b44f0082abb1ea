/** The reference pages of the two libraries, docs/api/: `npm run docs` writes them, and a test compares. */
import { HOME } from '../support/install.ts'
import { type ApiEntry, type ApiReport, type Documented, readApi } from './api-report.ts'

/** By the door's name, as it stands behind `tajo-ha/`. */
const INTROS: Readonly<Record<string, string>> = {
  ha: 'One active member among processes that share nothing but a directory. What it guarantees, and an example: [lib/ha/README.md](../../lib/ha/README.md).',
  client:
    'SQL for programs, whichever master is active. An example, and what goes wrong: [lib/client/README.md](../../lib/client/README.md).',
}

const KINDS = [
  ['function', 'Functions'],
  ['class', 'Classes'],
  ['type', 'Types'],
  ['value', 'Values'],
] as const

/** Of this install, as it was built last. */
export function apiReports(): Map<string, ApiReport> {
  const names = Object.keys(INTROS)
  const found = readApi(
    HOME,
    names.map((name) => `build/lib/${name}/index.d.ts`),
  )
  return new Map(found.map((report, at) => [names[at] ?? '', report]))
}

/** Paths from the project's root on, to texts. */
export const apiPages = (reports: ReadonlyMap<string, ApiReport>): Record<string, string> =>
  Object.fromEntries(
    [...reports].map(([name, { entries }]) => [`docs/api/${name}.md`, pageOf(name, entries)]),
  )

const pageOf = (name: string, entries: readonly ApiEntry[]): string =>
  [
    `# tajo-ha/${name}`,
    INTROS[name] ?? '',
    'Names that end with `Ms` are milliseconds, those that end with `Bytes` are bytes. What the codes of errors mean is in [errors.md](../errors.md). This file is generated from the declarations and their comments (`npm run docs`).',
    ...KINDS.flatMap(([kind, heading]) => {
      const some = entries.filter((entry) => entry.kind === kind)
      return some.length === 0 ? [] : [`## ${heading}`, ...some.flatMap(entryText)]
    }),
  ]
    .join('\n\n')
    .concat('\n')

const entryText = ({ name, code, doc, members }: ApiEntry): string[] => [
  `### ${name}`,
  `\`\`\`ts\n${code}\n\`\`\``,
  ...doc,
  ...(members.length === 0 ? [] : [members.map(memberText).join('\n')]),
]

const memberText = ({ code, doc }: Documented): string =>
  [`- \`${code}\``, ...doc.map((paragraph) => `  ${paragraph}`)].join('  \n')

/** The periods of the protocol in texts: tables and sentences between two marks are made from the table of the code. Pure. */
import { makeTiming, PERIOD_RULES, type Period } from '../../lib/ha/index.ts'

const BEGIN = '<!-- periods: npm run docs -->'
const END = '<!-- periods: end -->'
const EXAMPLE_M = 5000

function table(): string {
  const timing = makeTiming(EXAMPLE_M)
  const rows = (Object.keys(PERIOD_RULES) as Period[]).map((name) => {
    const rule: { letter?: string; means: string; formula: string } = PERIOD_RULES[name]
    return `| ${rule.letter ?? ''} | ${rule.means} | ${rule.formula} = ${timing[name]} |`
  })
  return [`| | | default at M = ${EXAMPLE_M} ms |`, '| --- | --- | --- |', ...rows].join('\n')
}

/** The text with what stands between its marks made anew. Throws where it has none. */
export function withPeriods(text: string): string {
  const [before, rest, ...more] = text.split(BEGIN)
  const [, after] = rest?.split(END) ?? []
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`the text has no part between ${BEGIN} and ${END}`)
  }
  return `${before}${BEGIN}\n${table()}\n${END}${after}`
}

/** Texts that have such a part. */
export const WITH_PERIODS = ['lib/ha/README.md', 'docs/ha-protocol.md'] as const

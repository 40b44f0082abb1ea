/** The periods of the protocol in texts: tables and sentences between two marks are made from the table of the code. Pure. */
import { makeTiming, PERIOD_RULES, type Period } from '../../lib/ha/index.ts'
import { between } from './parts-of-text.ts'

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
export const withPeriods = (text: string): string => between(text, 'periods', table())

/** Texts that have such a part. */
export const WITH_PERIODS = ['lib/ha/README.md', 'docs/ha-protocol.md'] as const

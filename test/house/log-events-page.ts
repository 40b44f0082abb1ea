/** docs/log-events.md, made from the tables of events: `npm run docs` writes it, and a test compares. */
import { DAEMON_EVENTS } from '../../lib/base/log-events.ts'
import { HA_EVENTS } from '../../lib/ha/words/log-events.ts'
import { table } from './markdown.ts'

/** Where each of the closed lists stands, and what of `lib` logs by it. */
export const EVENT_LISTS = [
  { path: 'lib/ha/words/log-events.ts', events: HA_EVENTS },
  { path: 'lib/base/log-events.ts', events: DAEMON_EVENTS },
] as const

const tableOf = (events: Readonly<Record<string, string>>): string =>
  table(
    ['event', 'meaning'],
    Object.entries(events).map(([event, means]) => [`\`${event}\``, means]),
  )

export function logEventsPage(): string {
  return [
    '# Events in the logs',
    'This file is generated from the tables of events (`npm run docs`). Each line of a log is a JSON document: `level`, `time`, `event`, facts such as `term`, and in `msg` a sentence for people. Events are stable, sentences may change, so count and alert by `event`.',
    '## The election',
    'The master and its keeper log these. `log` of `tajo-ha/ha` gets them as `facts.event`.',
    tableOf(HA_EVENTS),
    '## The daemons',
    tableOf(DAEMON_EVENTS),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n')
}

/**
 * The status page tells people the facts of `/api/v1/cluster` and the last terms. It needs no scripts, and a screen
 * reader and a terminal browser can read it. Pure. Names come from other hosts and from a shared directory, so every
 * value is escaped, and the policy below lets nothing run or load even if one were not.
 */
import { createHash } from 'node:crypto'
import { lastWordOf } from './term-words.ts'
import type { ClusterDocument, MasterRow, TermRow } from './view.ts'

const STYLE = `
body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
table{border-collapse:collapse;width:100%;margin:.5rem 0 2rem}
th,td{text-align:left;padding:.35rem .8rem .35rem 0;border-bottom:1px solid #767676;vertical-align:top}
caption{text-align:left;font-size:1.25rem;font-weight:600}
.problem{border-left:.4rem solid #a40000;padding:.5rem 1rem;background:#fdecec}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}.problem{background:#3b1212}a{color:#8ab4f8}}
`
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')

/** The only thing that is allowed is the style sheet above, known by its digest. */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
} as const

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}
export const escapeHtml = (text: string): string =>
  text.replaceAll(/[&<>"']/g, (char) => ENTITIES[char] ?? char)

/** Why somebody in front of a browser gets nothing. */
export const refusalPage = (message: string): string => `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Tajo: refused</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Refused</h1>
<p class="problem" role="alert">${escapeHtml(message)}</p>
</main>
</body>
</html>
`

/** What the page shows of the cluster. */
type PlainCluster = Pick<
  ClusterDocument,
  'clusterId' | 'epoch' | 'active' | 'self' | 'masters' | 'problem' | 'warnings' | 'alerts'
>

/** `history` is null when it could not be read. */
export function statusPage(cluster: PlainCluster, history: readonly TermRow[] | null): string {
  const active = cluster.active ?? 'none'
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tajo master ${escapeHtml(cluster.self)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Tajo cluster</h1>
${problems(cluster)}
<p>Active master: <strong>${escapeHtml(active)}</strong>, term ${cluster.epoch}.
This page comes from ${escapeHtml(cluster.self)}. Cluster ${escapeHtml(cluster.clusterId ?? 'not joined yet')}.</p>
${table(
  'Masters',
  ['Address', 'State', 'Last heartbeat', 'Clients', 'Host', 'Process', 'Priority', 'Version'],
  cluster.masters.map(masterCells),
)}
${history === null ? '<p class="problem">The history could not be read in time.</p>' : historyTable(history)}
</main>
<footer><p><a href="/api/v1/cluster">cluster as JSON</a> · <a href="/api/v1/history">history as JSON</a> · <a href="/metrics">metrics</a></p></footer>
</body>
</html>
`
}

/** Alerts are the gravest first, and hold most of the others' words too. */
function problems({ problem, warnings, alerts }: PlainCluster): string {
  const told = alerts.map(({ text }) => text)
  const all = new Set([...(problem === null ? [] : [problem]), ...told, ...warnings])
  return [...all]
    .map((text) => `<p class="problem" role="alert">${escapeHtml(text)}</p>`)
    .join('\n')
}

const masterCells = (row: MasterRow): string[] => [
  row.address,
  row.self ? `${row.state} (this one)` : row.state,
  row.self ? 'now' : age(row.heartbeatAgeMs),
  row.addresses.clientRpc,
  row.hostname,
  String(row.pid),
  String(row.priority),
  row.version,
]

const age = (ms: number | null): string =>
  ms === null ? 'not seen moving yet' : `${(ms / 1000).toFixed(1)} s ago`

const historyTable = (history: readonly TermRow[]): string =>
  table(
    'Last terms',
    ['Term', 'Master', 'Before', 'Reason', 'What was seen', 'Claimed', 'After the last heartbeat'],
    history.map((entry) => {
      const { term, served } = entry
      return [
        String(term.term),
        term.address,
        term.previousAddress ?? '',
        entry.why,
        lastWordOf(entry) === null ? seenIn(term) : 'its last word, or that of its keeper',
        term.at,
        served === null ? 'not known to have served' : `${Math.round(served.phases.totalMs)} ms`,
      ]
    }),
  )

const seenIn = ({ evidence, orderedBy }: TermRow['term']): string =>
  orderedBy === undefined ? evidence : `${evidence}; asked for by ${orderedBy}`

function table(
  caption: string,
  titles: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const head = titles.map((title) => `<th scope="col">${escapeHtml(title)}</th>`).join('')
  const body = rows.map((row) => {
    const [first = '', ...others] = row.map(escapeHtml)
    return `<tr><th scope="row">${first}</th>${others.map((cell) => `<td>${cell}</td>`).join('')}</tr>`
  })
  return `<table><caption>${escapeHtml(caption)}</caption><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table>`
}

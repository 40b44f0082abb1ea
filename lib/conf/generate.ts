/**
 * Writes `conf/tajo-site.xml.template` and `docs/configuration.md` from the table of keys:
 *
 *     npx tsc -p . && node build/lib/conf/generate.js
 *
 * Both are committed, and a test compares them with what this makes.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { INSTALL } from '../base/install.ts'
import { ALL_KEYS, type Key, type KeySpec, specOf } from './keys.ts'
import { allowedOf, formatBytes, formatMs, parseValue } from './types.ts'

/** Paths from the repository's root, and what belongs there. */
export const generatedFiles = (): Readonly<Record<string, string>> => ({
  'conf/tajo-site.xml.template': siteTemplate(),
  'docs/configuration.md': manual(),
})

/** Keys under the headings of their groups, both in the table's order. */
function groups(): Map<string, Key[]> {
  const found = new Map<string, Key[]>()
  for (const key of ALL_KEYS) {
    const { group } = specOf(key)
    const list = found.get(group)
    if (list === undefined) found.set(group, [key])
    else list.push(key)
  }
  return found
}

const USED_BY: Readonly<Record<KeySpec['usedBy'], string>> = {
  master: 'masters',
  worker: 'workers',
  client: 'clients',
  all: 'masters and workers',
}

/** Tells the default as people read it. */
function defaultWords(spec: KeySpec): string {
  if (typeof spec.default !== 'string') return spec.default.words
  const parsed = parseValue(spec, spec.default)
  if (parsed.ok && spec.type === 'duration')
    return `${spec.default} (${formatMs(Number(parsed.value))})`
  if (parsed.ok && spec.type === 'size')
    return `${spec.default} (${formatBytes(Number(parsed.value))})`
  return spec.default
}

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function siteTemplate(): string {
  const parts = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!--',
    '  Every key that tajo-site.xml may set, with its default. Copy what you change into tajo-site.xml;',
    '  the tajo.catalog keys may stand in catalog-site.xml as well. docs/configuration.md says more.',
    '-->',
    '<configuration>',
  ]
  for (const [group, keys] of groups()) {
    parts.push('', `  <!-- ${group} -->`)
    for (const key of keys) parts.push('', ...templateEntry(key))
  }
  parts.push('', '</configuration>', '')
  return parts.join('\n')
}

function templateEntry(key: Key): string[] {
  const spec = specOf(key)
  const property = [
    '  <property>',
    `    <name>${key}</name>`,
    `    <value>${typeof spec.default === 'string' ? escapeXml(spec.default) : ''}</value>`,
    `    <description>${escapeXml(`${spec.doc} Allowed: ${allowedOf(spec)}.`)}</description>`,
    '  </property>',
  ]
  if (typeof spec.default === 'string') return property
  // A derived default has no value to write down: left in, it would be set, and to nothing.
  return [`  <!-- default: ${spec.default.words}`, ...property, '  -->']
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const code = (text: string): string => (text === '' ? 'empty' : `\`${text}\``)

function manual(): string {
  const parts = [INTRODUCTION]
  for (const [group, keys] of groups()) {
    parts.push(`## ${group}\n`)
    parts.push('| key | default | meaning |', '| --- | --- | --- |')
    for (const key of keys) parts.push(manualRow(key))
    parts.push('')
  }
  return parts.join('\n')
}

function manualRow(key: Key): string {
  const spec = specOf(key)
  const words = defaultWords(spec)
  const shown = typeof spec.default === 'string' ? code(words) : words
  const when = spec.reloadable ? ' A change takes effect while they run.' : ''
  return `| \`${key}\` | ${cell(shown)} | ${cell(`${spec.doc} Allowed: ${allowedOf(spec)}. Read by ${USED_BY[spec.usedBy]}.${when}`)} |`
}

const INTRODUCTION = `# Configuration

This file is generated from the table of keys (\`lib/conf/keys.ts\`).

All files stand in one directory: \`--config DIR\`, else \`TAJO_CONF_DIR\`, else \`conf/\` of the install. One and the same
directory can serve all hosts.

| file | what it says |
| --- | --- |
| \`tajo-site.xml\` | the keys below; a missing file means defaults, with a warning |
| \`catalog-site.xml\` | read after it; meant for the catalog's keys |
| \`masters\` | all masters, one a line |
| \`workers\` | all workers, one a line |
| \`tajo-env.sh\` | the environment: directories, Node's options |

\`tajo getconf KEY\` prints the value in force (\`--json\`: also where it comes from). \`conf/tajo-site.xml.template\` holds
every key with its default.

## How values are read

- The XML is Hadoop's: \`<property>\` with \`<name>\`, \`<value>\`, perhaps \`<final>true</final>\` and \`<description>\`. Of two
  settings of a key the last one counts, with a warning; a final one can't be changed by a later one. DOCTYPE, entities
  other than XML's own five and character numbers, includes, and encodings other than UTF-8 are refused.
- \`\${key}\` is another key's value, \`\${env.X}\` an environment variable, \`\${user.name}\` the user. \`\${env.X-word}\` has a
  word for when the variable is not set, \`\${env.X:-word}\` also for when it is empty. A reference that nobody knows is an
  error, with two exceptions. In a text it is left as written, with a warning. In \`tajo.master.ha.fencing.methods\` it is
  left too, since the shell may know it.
- Durations are milliseconds (\`5000\`) or have a unit (\`500ms\`, \`5s\`, \`1.5m\`); sizes are bytes or have one (\`64m\`).
- A key that nobody knows is a warning that names the nearest one. A wrong value is an error with file, line, key, and
  what is allowed; nothing starts then.
- Daemons notice when \`tajo-site.xml\`, \`catalog-site.xml\` or \`masters\` change. What can take effect does; the rest is
  logged as needing a restart. A broken file changes nothing and is logged once.

## masters and workers

One host a line: \`host\` or \`host:port\`, an IPv6 address in brackets. Blank lines, \`#\` comments and CRLF are fine. Host
names consist of letters, digits, dots, hyphens and underscores. The same host with the same port twice is an error.

In \`masters\` the port is the master's umbilical port. A second line for a host with another port is a second master on
it. \`localhost:27001\` shifts all its five ports by 27001 − 26001 = 1000, and its pid file and log are named
\`master-27001\`. In what a master advertises, its line's host replaces \`localhost\` and \`0.0.0.0\`. A master with a real
name listens on all interfaces where the file says \`localhost\`.

In \`workers\` the port is the worker's peer port. \`localhost:29091\` is a second worker on this host, with all its four
ports shifted by 29091 − 28091 = 1000 and \`worker-29091\` in its file names. Without the file no worker is started, with
a warning. A worker with a loopback name offers results and takes queries on the loopback interface only, unless the
file sets those addresses.
`

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(generatedFiles()))
    writeFileSync(join(INSTALL, path), text)
}

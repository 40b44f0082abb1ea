/**
 * No test and no example names a port that Linux gives to outgoing connections: now and then somebody's connection has it,
 * and a test fails, or a master does not start, for no reason that anybody would find. Read as texts, since most of these
 * ports are in strings, comments and manuals.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { DEFAULT_EPHEMERAL_PORTS, isPortIn } from '../../lib/base/port-holder.ts'
import { HOME } from '../support/install.ts'

const PLACES = ['README.md', 'SECURITY.md', 'docs', 'conf', 'sbin', 'lib', 'test']
const TEXTS = /(?:\.(?:ts|md|txt|sh|xml|template|cfg|yml)|\/masters|\/workers)$/

/** What looks like such a port and may stay. */
const ALLOWED: readonly { readonly file: string; readonly text: string; readonly why: string }[] = [
  ...['docs/operations.md', 'docs/ko/operations.md'].flatMap((file) => [
    { file, text: '36001', why: "Apache Tajo's own example, told as such" },
    { file, text: '36080', why: 'the last one of its ports' },
  ]),
  { file: 'docs/configuration.md', text: '36500', why: 'a number of days' },
  { file: 'test/unit/conf/masters.test.ts', text: '39499', why: 'a distance between ports' },
  { file: 'test/unit/conf/masters.test.ts', text: '37444', why: 'a distance between ports' },
  { file: 'test/integration/worker.test.ts', text: 'port: 0', why: 'stands for no address' },
  ...['41_573', '38_580', '33_301'].map((text) => ({
    ...{ file: 'test/sim/references-worlds.ts', text, why: 'a number of states' },
  })),
]

/** Words of a line in which a number may well be a port. */
const ABOUT_PORTS = /port|listen|address|host|master|worker|health|:\d{5}/i
/** Before a round number, which is mostly an amount. */
const PORT_BEFORE = /(?:port\w*\W{1,3}|[\w\]}]:|listen\()$/i
/** These take a port that the kernel chooses, and that is one of those. */
const ANY_PORT = /\blisten\(0\b|\bport: 0\b/gi

function portsIn(line: string): string[] {
  const { first, last } = DEFAULT_EPHEMERAL_PORTS
  const found = [...line.matchAll(/(?<![\w.]|process |pid )\d{2}_?\d{3}(?!\w)/g)].filter(
    ({ 0: text, index }) => {
      const port = Number(text.replace('_', ''))
      // Its ends stand where the range itself is told.
      if (!isPortIn(port, DEFAULT_EPHEMERAL_PORTS) || port === first || port === last) return false
      return port % 1000 === 0 ? PORT_BEFORE.test(line.slice(0, index)) : ABOUT_PORTS.test(line)
    },
  )
  return [...found, ...line.matchAll(ANY_PORT)].map(([text]) => text)
}

function filesIn(place: string): string[] {
  if (place.endsWith('.md')) return [place]
  return readdirSync(join(HOME, place), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(HOME, '/').length))
    .filter((path) => TEXTS.test(path) && path !== 'test/unit/ports-in-texts.test.ts')
}

t.test('a port is seen where it is one', async (t) => {
  for (const line of [
    "'localhost:36001'",
    'status(36080, "/health/active")',
    'const SSH_PORT = 40_022',
    'port: 40000',
    'localhost:40000',
    'log …/tajo-root-master-36001-vm.log',
    'server.listen(0, "127.0.0.1")',
    'await app.listen({ host, port: 0 })',
  ]) {
    t.equal(portsIn(line).length, 1, line)
  }
  for (const line of [
    "'tajo.master.ha.monitor.interval': '60000'",
    'localhost:27001, 65500 and 32768 to 60999',
    'the master took 2045001 ms, 0.45001 s',
    'if (ms < 59_950) return',
    'localhost: worker runs already as process 45345',
  ]) {
    t.same(portsIn(line), [], line)
  }
})

t.test('no port of outgoing connections in tests, manuals, examples and messages', async (t) => {
  const used = new Set<object>()
  const wrong: string[] = []
  for (const file of PLACES.flatMap(filesIn)) {
    for (const [index, line] of readFileSync(join(HOME, file), 'utf8').split('\n').entries()) {
      for (const text of portsIn(line)) {
        const allowed = ALLOWED.find((one) => one.file === file && one.text === text)
        if (allowed === undefined) wrong.push(`${file}:${index + 1}: ${text} in ${line.trim()}`)
        else used.add(allowed)
      }
    }
  }
  t.same(wrong, [])
  t.same(
    ALLOWED.filter((one) => !used.has(one)),
    [],
    'what is allowed is there',
  )
})

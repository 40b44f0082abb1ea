/** The audit log's file: who may read it, what is written in it, and that strangers can't push anything out of it. */
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { type AuditFile, openAuditFile } from '../../../lib/daemon/index.ts'
import { HandClock } from '../../support/hand-clock.ts'

const LIMITS = { maxBytes: 1_000_000, keep: 2, withTexts: false }

function opened(t: Test, more: Partial<Parameters<typeof openAuditFile>[0]> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'tajo-audit-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const file = join(directory, 'x.audit.log')
  const clock = new HandClock()
  const open = (): AuditFile =>
    openAuditFile({
      ...{ ...LIMITS, file, clock, wallMs: () => 0, base: { master: 'm:26001' } },
      onTrouble: (message) => t.fail(message),
      ...more,
    })
  const lines = (path = file): Record<string, unknown>[] =>
    readFileSync(path, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
  return { file, clock, open, lines }
}

const modeOf = (path: string): number => statSync(path).mode & 0o777

t.test('nobody else reads it, whatever the umask, and however it was before', async (t) => {
  const { file, open } = opened(t)
  const before = process.umask(0)
  t.teardown(() => void process.umask(before))
  open()
  t.equal(modeOf(file), 0o600)
  chmodSync(file, 0o644)
  const again = open()
  t.equal(modeOf(file), 0o600, 'one that was opened to others is closed')
  renameSync(file, `${file}.old`)
  again.reopen()
  again.audit('role', { state: 'active' })
  await again.flush(5000)
  t.equal(modeOf(file), 0o600, 'after somebody has moved it and sent the signal')
})

t.test('it is put aside by size, and each of its files is closed', async (t) => {
  const { file, open } = opened(t, { maxBytes: 300 })
  const one = open()
  for (let i = 0; i < 10; i += 1) {
    one.audit('role', { i, padding: 'x'.repeat(200) })
    await one.flush(5000)
  }
  for (const path of [file, `${file}.1`, `${file}.2`]) t.equal(modeOf(path), 0o600, path)
  t.notOk(existsSync(`${file}.3`))
})

t.test('nothing is written through a link under its name', async (t) => {
  const { file, open } = opened(t)
  writeFileSync(`${file}.victim`, '')
  symlinkSync(`${file}.victim`, file)
  t.throws(() => open(), { message: /symbolic link/ })
  t.equal(readFileSync(`${file}.victim`, 'utf8'), '')
})

t.test('texts are written where the key says so, and cut', async (t) => {
  const { open, lines } = opened(t)
  const one = open()
  const sql = `select '${'x'.repeat(30_000)}'`
  one.audit('statement', { is: 'query', outcome: 'succeeded' }, { sql, message: null })
  one.limit({ ...LIMITS, withTexts: true })
  one.audit('statement', { is: 'query', outcome: 'failed' }, { sql, message: 'no such table' })
  await one.flush(5000)
  const [without, both] = lines()
  t.strictSame(without, {
    ...{ time: '1970-01-01T00:00:00.000Z', event: 'statement', master: 'm:26001' },
    ...{ is: 'query', outcome: 'succeeded' },
  })
  t.match(both, { sql: /^select 'xxx.*…$/, message: 'no such table' })
  t.equal(String(both?.sql).length, 20_001)
})

t.test('refusals come one by one up to a rate, and all else always', async (t) => {
  const { clock, open, lines } = opened(t)
  const one = open()
  for (let i = 0; i < 500; i += 1) one.audit('refusal', { i })
  one.audit('statement', { after: 'the flood' })
  await one.flush(5000)
  t.equal(lines().filter(({ event }) => event === 'refusal').length, 100)
  t.match(lines().at(-1), { event: 'statement' })
  await clock.advance(3000)
  for (let i = 0; i < 10; i += 1) one.audit('refusal', { i })
  await one.flush(5000)
  const later = lines().slice(101)
  t.match(later[0], { event: 'lost', count: 400, of: 'refusal' }, 'how many were left out')
  t.equal(later.filter(({ event }) => event === 'refusal').length, 3)
})

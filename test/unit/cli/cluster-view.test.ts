import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTcp } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { HostFacts } from '../../../lib/cli/address.ts'
import { CliError, Refusal } from '../../../lib/cli/exit.ts'
import { findMaster } from '../../../lib/cli/haadmin/known-master.ts'
import { byWhom, historyTable } from '../../../lib/cli/haadmin/state.ts'
import { statusReport, statusText } from '../../../lib/cli/haadmin/status.ts'
import { giveOrder } from '../../../lib/cli/sight/admin.ts'
import { exchange, type NoAnswer } from '../../../lib/cli/sight/http.ts'
import { allAnswer, readAnswer } from '../../../lib/cli/sight/look-around.ts'
import {
  type Asked,
  activeAddress,
  addressesOf,
  answeringActive,
  foreignMasters,
  type MasterAnswer,
  problemOf,
  sightOf,
} from '../../../lib/cli/sight/sight.ts'
import { type MasterStatus, umbilical } from '../../../lib/contract/index.ts'
import type { DirectoryPicture, HistoryEntry, InspectedMaster } from '../../../lib/ha/index.ts'
import { inWords, whyOf } from '../../../lib/web/term-words.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { patienceMs } from '../../support/pace.ts'

const answer = (address: string, more: Partial<MasterAnswer> = {}): Asked => ({
  answered: true,
  answer: {
    address,
    state: 'backup',
    epoch: 7,
    clusterId: 'c-1',
    rootDirectory: '/shared/tajo',
    hostname: 'h',
    version: '1.0.0',
    priority: 100,
    adminSocket: '/run/a.sock',
    problem: null,
    failure: null,
    directories: [],
    warnings: [],
    critical: [],
    heartbeatAgesMs: {},
    ...more,
  },
})
const silent: Asked = { answered: false, why: 'no answer within 500 ms', refused: false }
const absent: Asked = { answered: false, why: 'connection refused', refused: true }

const inspected = (address: string, more: Partial<InspectedMaster> = {}): InspectedMaster => ({
  address,
  addresses: { umbilical: address, clientRpc: '', resourceTracker: '', catalog: '', infoHttp: '' },
  hostname: 'h',
  priority: 90,
  version: '0.9.0',
  state: 'backup',
  heartbeatAgeMs: 120,
  pid: 1,
  adminSocket: '/run/b.sock',
  pulse: 'live',
  epoch: null,
  ...more,
})
const picture = (masters: InspectedMaster[], problem: string | null = null): DirectoryPicture => ({
  clusterId: 'c-1',
  catalog: null,
  epoch: 7,
  masters,
  problem,
})

const sight = (from: {
  configured?: string[]
  asked?: Record<string, Asked>
  picture?: DirectoryPicture | null
}) =>
  sightOf({
    directory: '/shared/ha',
    configured: from.configured ?? ['a:1', 'b:1'],
    asked: new Map(Object.entries(from.asked ?? {})),
    picture: from.picture ?? null,
    directoryError: from.picture == null ? 'the mount hangs' : null,
  })

t.test("a master's own word counts for more than the directory", async (t) => {
  const suspended = sight({
    asked: { 'a:1': answer('a:1', { state: 'suspended', problem: 'term 7 is suspended' }) },
    picture: picture([inspected('a:1', { state: 'active', epoch: 7 })]),
  })
  t.equal(activeAddress(suspended), null, 'it renews, but says that it does not serve')
  t.match(problemOf(suspended), /a:1 says: term 7 is suspended/)
  const frozen = sight({
    asked: { 'a:1': silent },
    picture: picture([inspected('a:1', { state: 'active', epoch: 7 })]),
  })
  t.equal(activeAddress(frozen), 'a:1', 'silent, but its lease is renewed')
  t.equal(answeringActive(frozen), null)
  const released = sight({
    picture: picture(
      [inspected('a:1', { state: 'active', pulse: 'released', epoch: 7 })],
      'a:1 released its term',
    ),
  })
  t.equal(activeAddress(released), null)
  t.match(problemOf(released), /a:1 released its term/)
})

t.test(
  'of two that say they are active the higher epoch is believed, and the lower one marked',
  async (t) => {
    const both = sight({
      asked: {
        'a:1': answer('a:1', { state: 'active', epoch: 6 }),
        'b:1': answer('b:1', { state: 'active', epoch: 7 }),
      },
      picture: picture([]),
    })
    t.equal(activeAddress(both), 'b:1')
    const report = statusReport(both, [])
    t.match(report.masters[0]?.note, /not the newest epoch/)
    t.equal(report.problem, null)
  },
)

t.test('a master of another cluster is told as that, and nothing that it says counts', (t) => {
  const foreign = answer('b:1', {
    ...{ state: 'active', epoch: 900, clusterId: 'c-2', rootDirectory: '/typo' },
    heartbeatAgesMs: { 'a:1': 1 },
  })
  const ours = answer('a:1', { state: 'active', epoch: 7 })
  const both = { 'a:1': ours, 'b:1': foreign }
  for (const one of [
    sight({ asked: both, picture: picture([inspected('a:1', { state: 'active', epoch: 7 })]) }),
    // Started with this one only, so that the directory tells and is not watched.
    sightOf({
      ...{ directory: '/shared/ha', clusterId: 'c-1', configured: ['a:1', 'b:1'] },
      ...{ asked: new Map(Object.entries(both)), picture: null, directoryError: null },
    }),
  ]) {
    t.equal(activeAddress(one), 'a:1')
    t.same(foreignMasters(one), ['b:1 belongs to cluster c-2 in /typo: its tajo.rootdir differs'])
    const report = statusReport(one, [])
    t.match(report, { clusterId: 'c-1', epoch: 7, problem: null })
    const [, row] = report.masters
    t.match(row, { state: 'foreign', epoch: null, foreign: { clusterId: 'c-2' } })
    t.match(row?.note, /^belongs to cluster c-2/)
    t.notMatch(statusText(report), /900|newest epoch/)
    t.ok(allAnswer(one), 'nothing is to be judged from heartbeats')
  }
  const undecided = sight({ asked: both })
  t.equal(undecided.clusterId, null)
  t.equal(activeAddress(undecided), null)
  t.equal(foreignMasters(undecided).length, 2, 'nobody knows which one is meant')
  t.equal(sight({ asked: { 'b:1': foreign } }).clusterId, 'c-2', 'the only one that is told')
  t.end()
})

t.test('a master that names no cluster has said nothing of ours', (t) => {
  const older: Asked = { answered: false, why: 'older', refused: false, namesNone: true }
  const one = sight({
    asked: { 'a:1': answer('a:1'), 'b:1': older },
    picture: picture([inspected('a:1')]),
  })
  t.equal(activeAddress(one), null)
  const [sentence] = foreignMasters(one)
  t.match(sentence, /^b:1 names no cluster: it runs an older state of this software/)
  t.match(statusReport(one, []).masters[1], { state: 'foreign', epoch: null })
  const lateId = answer('b:1', { clusterId: null, state: 'active' })
  t.equal(activeAddress(sight({ asked: { 'b:1': lateId }, picture: picture([]) })), null)
  t.end()
})

t.test('what each master says of its storage and workers is told, the grave as such', (t) => {
  const words = {
    warnings: ['/mnt is mounted with soft', 'worker w'],
    critical: ['/mnt is mounted with soft'],
  }
  const report = statusReport(
    sight({
      asked: { 'a:1': answer('a:1', words), 'b:1': answer('b:1', { ...words, clusterId: 'c-2' }) },
      picture: picture([inspected('a:1')]),
    }),
    [],
  )
  t.same(report.warnings, [
    { by: 'a:1', level: 'critical', text: '/mnt is mounted with soft' },
    { by: 'a:1', level: 'warning', text: 'worker w' },
  ])
  const text = statusText(report)
  t.match(text, /^CRITICAL, a:1 says: \/mnt is mounted with soft$/m)
  t.match(text, /^Warning, a:1 says: worker w$/m)
  t.notMatch(text, 'b:1 says')
  const least = { address: 'a:1', state: 'backup', epoch: 3 }
  t.match(readAnswer({ ...least, warnings: ['w', 7] }), { warnings: ['w'], critical: [] })
  t.end()
})

t.test("a master's answer, of this version or another", async (t) => {
  const least = { address: 'a:1', state: 'backup', epoch: 3 }
  t.match(readAnswer(least), { state: 'backup', epoch: 3, adminSocket: null, heartbeatAgesMs: {} })
  t.match(readAnswer({ ...least, serving: false, news: 1 }), { state: 'backup' })
  t.match(readAnswer({ ...least, state: 'active', serving: true }), { state: 'active' })
  t.match(readAnswer({ ...least, state: 'active', serving: false }), { state: 'suspended' })
  t.same(readAnswer({ ...least, heartbeatAgesMs: { 'b:1': 5, x: 'y' } })?.heartbeatAgesMs, {
    'b:1': 5,
  })
  // What the contract lets a master say is understood here.
  const whole: MasterStatus = {
    ...least,
    state: 'active',
    serving: true,
    active: 'a:1',
    activeClient: 'a:2',
    clusterId: 'c',
    rootDirectory: '/r',
    hostname: 'h',
    pid: 1,
    version: '1.0.0',
    priority: 100,
    adminSocket: '/s',
    problem: null,
    failure: { term: 8, text: 'could not claim term 8: ENOSPC' },
    directories: [{ address: 'b:1', level: 'warning', text: 'not known' }],
    warnings: ['soft', 'worker'],
    critical: ['soft'],
    leaseMarginMs: 1,
    heartbeatAgesMs: {},
  }
  const { serving, active, activeClient, pid, leaseMarginMs, ...used } = whole
  t.same(readAnswer(umbilical.status.answer.parse(whole)), used)
  for (const strange of [
    null,
    'x',
    [],
    {},
    { ...least, state: 'king' },
    { ...least, epoch: '3' },
  ]) {
    t.equal(readAnswer(strange), null)
  }
})

t.test('every address once', async (t) => {
  const found = picture([inspected('A:1'), inspected('c:1')])
  t.same(addressesOf(['a:1', 'b:1', 'a:1'], found), ['a:1', 'b:1', 'c:1'])
  t.same(addressesOf(['a:1'], null), ['a:1'])
})

t.test('-status: one row a master, and why none is active', async (t) => {
  const report = statusReport(
    sight({
      configured: ['a:1', 'b:1', 'd:1', 'e:1'],
      asked: {
        'a:1': answer('a:1', { heartbeatAgesMs: { 'C:1': 33 } }),
        'b:1': silent,
        'c:1': silent,
        'd:1': absent,
        'e:1': silent,
      },
      picture: picture(
        [
          inspected('c:1', { pulse: 'silent' }),
          inspected('b:1', { pulse: 'released', state: 'active', epoch: 7 }),
        ],
        'b:1 released its term',
      ),
    }),
    [],
  )
  t.same(
    report.masters.map(({ address, state, epoch, answers }) => ({
      address,
      state,
      epoch,
      answers,
    })),
    [
      { address: 'a:1', state: 'backup', epoch: 7, answers: true },
      { address: 'b:1', state: 'stopped', epoch: 7, answers: false },
      { address: 'd:1', state: 'not started', epoch: null, answers: false },
      { address: 'e:1', state: 'unknown', epoch: null, answers: false },
      { address: 'c:1', state: 'silent', epoch: null, answers: false },
    ],
  )
  t.equal(report.masters[0]?.heartbeatAgeMs, 0, 'its own answer')
  t.equal(report.masters[4]?.heartbeatAgeMs, 33, "a neighbour's observation")
  t.match(report.masters[4]?.note, /does not answer: no answer within 500 ms, not in conf\/masters/)
  const text = statusText(report)
  t.match(text, /^Cluster c-1 in \/shared\/ha, epoch 7\n/)
  t.match(text, /No master is active: b:1 released its term/)
  const blind = statusText(statusReport(sight({ asked: { 'a:1': silent, 'b:1': silent } }), []))
  t.match(blind, /Directory: the mount hangs/)
  t.match(blind, /a:1 +unknown/)
})

t.test("-status: what masters say of each other's directories, also while one is active", (t) => {
  const text = 'b:1 works on another directory (/x here, /y there)'
  const directories = [{ address: 'b:1', level: 'critical', text }] as const
  const active = answer('a:1', { state: 'active', directories })
  const seen = sight({ asked: { 'a:1': active, 'b:1': answer('b:1') } })
  const report = statusReport(seen, [])
  t.same(report.directories, [{ by: 'a:1', ...directories[0] }])
  t.match(statusText(report), `\nCRITICAL, a:1 says: ${text}`)
  const strange = [{ ...directories[0], level: 'loud' }, null, { address: 'b:1' }]
  const least = { address: 'a:1', state: 'active', epoch: 1, directories: strange }
  t.same(readAnswer(least)?.directories, [{ ...directories[0], level: 'warning' }])
  t.end()
})

const entry = (
  term: Partial<HistoryEntry['term']>,
  served: HistoryEntry['served'],
): HistoryEntry => ({
  term: {
    term: 8,
    address: 'b:1',
    hostname: 'h',
    nonce: 'n',
    reason: 'released',
    evidence: 'the holder had released the term',
    previousTerm: 7,
    previousAddress: 'a:1',
    at: '2026-01-02T03:04:05.000Z',
    ...term,
  },
  served,
})
const servedAfter = (
  reason: 'master-died' | 'handed-over' | 'stopped' | 'gave-up',
  by: string,
): HistoryEntry['served'] => ({
  term: 8,
  servedAt: '2026-01-02T03:04:05.100Z',
  previousEnd: { reason, by, successor: 'b:1', at: '' },
  phases: {
    noticedMs: 1,
    decidedMs: 2,
    claimedMs: 3,
    endedMs: 4,
    settledMs: 0,
    openedMs: 20,
    totalMs: 30.4,
  },
})

t.test('-history: who, from whom, why, by whom, how long', async (t) => {
  const killed = entry({}, servedAfter('master-died', 'keeper'))
  t.equal(whyOf(killed), 'its process died (killed or crashed)')
  const before = servedAfter('master-died', 'keeper')
  const previousEnd = before?.previousEnd && { ...before.previousEnd, during: 'opening' as const }
  const opening = { ...before, previousEnd } as typeof before
  t.equal(whyOf(entry({}, opening)), `${whyOf(killed)}, while the catalog was being opened`)
  t.equal(byWhom(killed), '-')
  t.equal(inWords(killed).ended, whyOf(killed), 'pages have the same words')
  t.equal(inWords(entry({}, null)).ended, null)
  const gone = 'the journal of term 7 is gone: somebody has removed it'
  const givenUp = servedAfter('gave-up', gone)
  t.equal(whyOf(entry({}, givenUp)), `it gave up: ${gone}`, 'with its own reason')
  t.equal(byWhom(entry({}, givenUp)), '-')
  const trouble = 'could not claim term 8 (12 times): ENOSPC: no space left'
  const late = entry({}, { ...servedAfter('master-died', 'keeper'), trouble } as typeof givenUp)
  t.equal(whyOf(late), `${whyOf(killed)}; its successor ${trouble}`)
  const moved = entry({ reason: 'handed-over' }, servedAfter('handed-over', 'ann@h1'))
  t.equal(byWhom(moved), 'ann@h1')
  const forced = entry(
    { reason: 'command', evidence: 'the holder was fenced', orderedBy: 'ann@h1' },
    null,
  )
  t.equal(whyOf(forced), 'taken over by command')
  t.equal(byWhom(forced), 'ann@h1')
  const released = { reason: 'released', previousAddress: 'formatHA' } as const
  const formatted = { ...entry(released, servedAfter('stopped', 'root')), afterFormat: true }
  t.match(historyTable([formatted]), / b:1 +- +first start after formatHA +- /)
  const again = { ...entry({ reason: 'format', orderedBy: 'eve@h3' }, null), afterFormat: true }
  t.match(historyTable([again]), / formatHA +eve@h3 /, 'a format that follows a format')
  const lines = historyTable([forced, killed]).split('\n')
  t.match(
    lines[0],
    /EPOCH +AT +MASTER +FROM +WHY +BY +NOTICED +DECIDED +CLAIMED +ENDED +SETTLED +OPENED +TOTAL/,
  )
  t.match(lines[1], /taken over by command \(not known to have served\) +ann@h1 +- /)
  t.match(lines[2], /b:1 +a:1 +its process died .* 20 ms +30 ms$/)
})

t.test('a torn or foreign record is shown as far as it goes', async (t) => {
  const { evidence: _, previousAddress: __, ...torn } = entry({}, null).term
  const foreign = {
    term: { ...torn, reason: 'x\u001b[2J' },
    served: null,
  } as unknown as HistoryEntry
  t.match(historyTable([foreign]), /b:1 +- +x\?\[2J/)
  const odd = { term: { ...torn, at: 5, address: { a: 1 }, evidence: 7 }, served: { phases: 3 } }
  t.match(historyTable([odd as unknown as HistoryEntry]), /8 +5 +\[object Object\]/)
})

t.test('which master an address means', async (t) => {
  const facts: HostFacts = {
    hostname: 'me',
    addresses: new Set(['10.0.0.1']),
    resolve: async (host) =>
      ({ me: ['10.0.0.1'], h2: ['10.0.0.2'], alias2: ['10.0.0.2'] })[host] ?? [],
  }
  const known = ['me:26001', 'me:27001', 'h2:26001']
  const of = (host: string, port: number) => findMaster({ host, port }, known, facts)
  t.equal(await of('ME', 26001), 'me:26001')
  t.equal(await of('localhost', 27001), 'me:27001')
  t.equal(await of('alias2', 26001), 'h2:26001')
  t.equal(await of('h2', 27001), null)
  t.equal(await of('h3', 26001), null)
})

// A Unix socket's path has room for 107 bytes: too little for a test directory.
const socketDir = mkdtempSync(join(tmpdir(), 'tajo-cli-'))
t.teardown(() => rmSync(socketDir, { recursive: true, force: true }))
let sockets = 0
/** Serves one fixed answer on a Unix socket. */
async function onSocket(t: Test, status: number, body: string): Promise<string> {
  const socket = join(socketDir, `s${++sockets}`)
  const server: Server = createServer((request, response) => {
    request.resume().on('end', () => response.writeHead(status).end(body))
  })
  await new Promise<void>((done) => server.listen(socket, done))
  t.teardown(() => server.close())
  return socket
}

t.test('orders to a master: refusals keep their meaning', async (t) => {
  const order = { name: 'takeOver', force: false, by: 'me' } as const
  const to = (adminSocket: string | null) =>
    giveOrder({ address: 'a:1', adminSocket, clusterId: 'c-1' }, order, 5000)
  const fails = async (adminSocket: string | null): Promise<CliError> => {
    const error = await to(adminSocket).then(
      () => new Error('it was accepted'),
      (thrown) => thrown,
    )
    if (!(error instanceof CliError)) throw error
    return error
  }
  await to(await onSocket(t, 200, '{}'))
  const unsafe = await fails(
    await onSocket(t, 409, '{"code":"UNSAFE","message":"no backup is live"}'),
  )
  t.equal(unsafe.exitCode, 4)
  t.match(unsafe.message, /a:1 refused: no backup is live/)
  const late = await fails(await onSocket(t, 421, '{"code":"NOT_ACTIVE","message":"x"}'))
  t.ok(late instanceof Refusal && late.code === 'NOT_ACTIVE' && late.exitCode === 1)
  t.match((await fails(await onSocket(t, 500, '[]'))).message, /gave no reason/)
  t.match((await fails(join(socketDir, 'none'))).message, /its admin socket .* is not there/)
  t.match((await fails(null)).message, /admin socket of a:1 is not known/)
  t.match((await fails('relative')).message, /is not known/)
  t.match((await fails(await onSocket(t, 200, 'hello'))).message, /not JSON/)
})

t.test('only a complete answer within the deadline counts', async (t) => {
  const deaf = createTcp((socket) => socket.on('error', () => {}).resume())
  const port = await freePortRow(1)
  await new Promise<void>((done) => deaf.listen(port, '127.0.0.1', done))
  const errnoOf = (at: number, deadlineMs: number): Promise<string> =>
    exchange({ host: '127.0.0.1', port: at }, '/x', { method: 'POST', body: {}, deadlineMs }).then(
      () => 'answered',
      (error: NoAnswer) => error.errno,
    )
  t.equal(await errnoOf(port, 100), 'TIMEOUT', 'it accepts the connection and never answers')
  await new Promise<void>((done) => {
    deaf.close(() => done())
  })
  t.equal(await errnoOf(port, patienceMs()), 'ECONNREFUSED')
})

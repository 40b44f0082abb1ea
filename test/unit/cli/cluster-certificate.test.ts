/** The cluster's authority and certificate: made once, the same for all, and what of them is refused. */
import { X509Certificate } from 'node:crypto'
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import t, { type Test } from 'tap'
import {
  certificateOf,
  type ServerCertificate,
} from '../../../lib/cli/daemon/cluster-certificate.ts'
import { AuthoritiesOfUser } from '../../../lib/cli/tsql/known-authorities.ts'
import { AuthoritiesInMemory, Trust } from '../../../lib/client/trust.ts'
import { fingerprintOf, nameOfCluster } from '../../../lib/rpc/index.ts'
import { freePortRow } from '../../support/free-ports.ts'
import { testdirOf } from '../../support/testdir.ts'

const ID = '11111111-2222-4333-8444-555555555555'
const OTHER = '99999999-2222-4333-8444-555555555555'
const NOW_MS = Date.parse('2026-11-30T00:00:00Z')

const made = (directory: string, more: { names?: string[]; clusterId?: string } = {}) =>
  certificateOf({
    directory,
    ...{ clusterId: ID, names: ['host1', '127.0.0.1'], nowMs: NOW_MS },
    ...more,
  })

t.test(
  'one authority for all, one certificate for the names of a host, for their user only',
  async (t) => {
    const home = testdirOf(t)
    const directory = join(home, 'tls')
    const both = await Promise.all([made(directory), made(directory)])
    t.equal(both[0].authority, both[1].authority, 'of two at once one authority stands')
    const first = await made(directory)
    t.same(await made(directory), first, 'nothing is made again')
    const second = await made(directory, { names: ['host2'] })
    t.equal(second.authority, first.authority)
    const shown = [first, second].map(({ chain }) => new X509Certificate(chain))
    for (const one of shown) t.ok(one.checkHost(nameOfCluster(ID)), 'each is good for the cluster')
    t.ok(shown[0]?.checkHost('host1') && shown[0].checkIP('127.0.0.1'))
    t.notOk(shown[0]?.checkHost('host2'))
    t.ok(shown[1]?.checkHost('host2'))
    t.same(await made(directory), first)
    const names = readdirSync(directory).sort()
    t.match(names, ['authority.pem', /^certificate-.*pem$/, /^certificate-.*pem$/])
    t.equal(names.length, 3, 'no draft is left')
    for (const name of names) t.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name)
    t.equal(statSync(directory).mode & 0o777, 0o700)
  },
)

t.test('what is torn, gone or of another cluster', async (t) => {
  const home = testdirOf(t)
  const directory = join(home, 'tls')
  const first = await made(directory)
  const name = readdirSync(directory).find((one) => one.startsWith('certificate-')) ?? ''
  rmSync(join(directory, name))
  t.equal((await made(directory)).authority, first.authority)
  const whole = readFileSync(join(directory, 'authority.pem'), 'utf8')
  for (const text of ['x', whole.slice(0, 300)]) {
    writeFileSync(join(directory, name), text)
    await t.rejects(made(directory), { message: /certificate-.*pem can't be used: .*move it away/ })
  }
  rmSync(join(directory, name))
  const anew = await made(directory)
  const text = readFileSync(join(directory, name), 'utf8')
  writeFileSync(join(directory, name), text.slice(0, 300))
  const reading = made(directory)
  writeFileSync(join(directory, name), text)
  t.same(await reading, anew, 'what is being written is waited for')
  rmSync(join(directory, name))
  mkdirSync(join(home, 'copy'))
  copyFileSync(join(directory, 'authority.pem'), join(home, 'copy', 'authority.pem'))
  await t.rejects(made(join(home, 'copy'), { clusterId: OTHER }), {
    message: new RegExp(`authority.pem is another cluster's .*${ID}.*this is cluster ${OTHER}`),
  })
})

t.test('a client believes once, and then nobody else', async (t) => {
  const home = testdirOf(t)
  const here = await served(t, await made(join(home, 'a')))
  const trust = new Trust(new AuthoritiesInMemory(), () => NOW_MS)
  const options = await trust.optionsFor(here, null, AbortSignal.timeout(10_000))
  t.equal(options.servername, nameOfCluster(ID))
  t.equal(await speaks(here, options), 'authorized')
  t.same(await trust.optionsFor(here, ID, AbortSignal.timeout(10_000)), options)

  const twin = await served(t, await made(join(home, 'b')))
  t.match(await speaks(twin, options), /^refused: /, 'the same cluster by another authority')
  await t.rejects(trust.optionsFor(twin, null, AbortSignal.timeout(10_000)), {
    code: 'FORBIDDEN',
    message:
      /shows another authority \(.*\) than that cluster's \(.*\): somebody else may answer there/,
  })
  const other = await made(join(home, 'c'), { clusterId: OTHER })
  t.match(await speaks(await served(t, other), options), /^refused: /, 'another cluster')
})

t.test('what proves nothing is not believed', async (t) => {
  const home = testdirOf(t)
  const trust = new Trust(new AuthoritiesInMemory(), () => NOW_MS)
  const good = await made(join(home, 'a'))
  const alone = await served(t, {
    ...good,
    chain: good.chain.slice(0, good.chain.indexOf('-----END') + 25),
  })
  const signal = AbortSignal.timeout(10_000)
  await t.rejects(trust.optionsFor(alone, null, signal), {
    message: /shows no authority of its own/,
  })
  const mixed = await made(join(home, 'b'))
  const foreign = await served(t, {
    ...good,
    chain: `${good.chain.slice(0, good.chain.indexOf('-----END') + 25)}\n${mixed.authority}`,
  })
  await t.rejects(trust.optionsFor(foreign, null, signal), { code: 'FORBIDDEN' })
  const later = new Trust(new AuthoritiesInMemory(), () => NOW_MS + 40 * 366 * 86_400_000)
  await t.rejects(later.optionsFor(await served(t, good), null, signal), {
    message: /is good from .* to /,
  })
})

t.test(
  'known_clusters: a line each, what the directory says counts, a torn one is refused',
  async (t) => {
    const home = testdirOf(t)
    const [one, two] = await Promise.all(['a', 'b'].map((name) => made(join(home, name))))
    let inDirectory: string | null = null
    const told: string[] = []
    const unwritten: unknown[] = []
    const open = (at = home) =>
      new AuthoritiesOfUser({
        home: at,
        inDirectory: async () => inDirectory,
        onLearnt: (text) => told.push(text),
        onUnwritten: (error) => unwritten.push(error),
      })
    const signOf = async (id: string) => {
      const known = await open().authorityOf(id)
      return known === null ? null : fingerprintOf(known)
    }
    const [first, second] = [one, two].map((made) => fingerprintOf(made?.authority ?? ''))
    t.equal(await signOf(ID), null)
    await open().learn(ID, one?.authority ?? '')
    t.match(told[0], first)
    t.equal(await signOf(ID), first)
    t.equal(await signOf(OTHER), null)
    const path = join(home, '.tajo', 'known_clusters')
    t.equal(statSync(path).mode & 0o777, 0o600)
    t.notOk(await open().isNow(ID, two?.authority ?? ''), 'nobody says so')
    inDirectory = two?.authority ?? null
    t.equal(await signOf(ID), first, 'the directory is not asked without need')
    t.notOk(await open().isNow(OTHER, two?.authority ?? ''), 'and says nothing of others')
    t.ok(await open().isNow(ID, two?.authority ?? ''), 'it was made anew')
    inDirectory = null
    t.equal(await signOf(ID), second, 'from then on it is known')
    writeFileSync(path, `# a comment\n\n${ID} AAAA\n`)
    await t.rejects(open().authorityOf(ID), {
      message: `${path}, line 3: not 'CLUSTER-ID CERTIFICATE'`,
    })
    rmSync(path)
    mkdirSync(path)
    await t.rejects(open().authorityOf(ID), { message: /EISDIR.*Nothing was sent/ })
    await open().learn(ID, one?.authority ?? '')
    t.equal(unwritten.length, 1)
    t.equal(await open('/dev/null').authorityOf(ID), null, 'a home that is none')
  },
)

/** A TLS server on loopback until the test ends. */
async function served(t: Test, { key, chain }: ServerCertificate) {
  const server = createServer({ key, cert: chain }, (socket) => socket.end('hello'))
  server.on('tlsClientError', () => {})
  const port = await freePortRow(1)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { host: '127.0.0.1', port, text: `127.0.0.1:${port}` }
}

const speaks = (address: { host: string; port: number }, options: object): Promise<string> =>
  new Promise((resolve) => {
    const socket = connect({ host: address.host, port: address.port, ...options })
    socket.once('secureConnect', () => {
      resolve(socket.authorized ? 'authorized' : 'let in')
      socket.destroy()
    })
    socket.once('error', (error) => resolve(`refused: ${error.message}`))
  })

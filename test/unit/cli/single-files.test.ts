/** The id and the secret of a cluster without high availability: what is refused at a start, and what is put back. */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { membershipOf, ownClusterId } from '../../../lib/cli/daemon/cluster-identity.ts'
import { ownSecret, SingleFiles } from '../../../lib/cli/daemon/single-files.ts'

const FOREIGN = '01234567-89ab-cdef-0123-456789abcdef'

async function serving(t: Test, more: Readonly<Record<string, string>> = {}) {
  const directory = t.testdir(more)
  const clusterId = await ownClusterId(directory)
  const secret = await ownSecret(directory)
  const logged: string[] = []
  const log = (_level: string, message: string): void => void logged.push(message)
  const own = { haDirectory: directory, clusterId, secret, everyMs: 1000 }
  const files = await SingleFiles.of({ ...own, log })
  const text = (name: string): string => readFileSync(join(directory, name), 'utf8')
  return { directory, clusterId, secret, files, logged, text }
}

t.test('a secret that is none is refused at the start, and is nobody’s meanwhile', async (t) => {
  for (const torn of ['', '\n', 'abc\n']) {
    const directory = t.testdir({ secret: torn })
    await ownClusterId(directory)
    await t.rejects(ownSecret(directory), {
      message: `${directory}/secret is torn or foreign (${torn.trim().length} characters): restore it, or move it away and start again`,
    })
    t.equal(readFileSync(join(directory, 'secret'), 'utf8'), torn, 'and is left alone')
    t.equal(await membershipOf(directory), null)
  }
  const directory = t.testdir({ secret: {}, 'single-cluster': {} })
  await t.rejects(ownSecret(directory), { message: `${directory}/secret is a directory` })
  await t.rejects(ownClusterId(directory), {
    message: `${directory}/single-cluster holds no cluster id, so it is torn, foreign or a directory`,
  })
})

t.test('what was removed or replaced is put back and told', async (t) => {
  const { directory, files, logged, text } = await serving(t)
  await files.look()
  t.same(files.warnings, [])
  for (const name of ['single-cluster', 'secret']) {
    const path = join(directory, name)
    const before = text(name)
    const wrongs: [string, RegExp][] = [
      ['', /torn/],
      ['garbage\n', /torn/],
      [`${FOREIGN}\n`, /another one/],
    ]
    for (const [wrong, words] of wrongs) {
      writeFileSync(path, wrong)
      await files.look()
      t.equal(text(name), before, JSON.stringify(wrong))
      t.match(files.warnings.at(-1), words)
      t.match(files.warnings.at(-1), `(${name}) was another one, or torn, and was put back in`)
    }
    rmSync(path)
    await files.look()
    t.equal(text(name), before)
    t.match(files.warnings.at(-1), `(${name}) was gone and was put back in ${directory}`)
    t.equal(statSync(path).mode & 0o777, 0o600)
    rmSync(path)
    mkdirSync(path)
    writeFileSync(join(path, 'inside'), '')
    await files.look()
    t.equal(text(name), before)
    const aside = readdirSync(directory).find((one) => one.startsWith(`${name}.directory-`)) ?? ''
    t.same(readdirSync(join(directory, aside)), ['inside'], 'nothing is removed')
    t.match(files.warnings.at(-1), `which is ${directory}/${aside} now, and was put back`)
  }
  t.equal(logged.length, 10, 'each once')
  const count = logged.length
  await files.look()
  t.equal(logged.length, count)
})

t.test('an id that is in cluster.json stays there; one that comes is told', async (t) => {
  const cluster = JSON.stringify({
    format: 4,
    clusterId: FOREIGN,
    catalog: { class: 'SharedStore', uri: '' },
    createdAt: '',
  })
  const was = await serving(t, { 'cluster.json': `${cluster}\n` })
  t.equal(was.clusterId, FOREIGN)
  for (const wrong of ['', '{"torn', cluster.replace('0123', '9999')]) {
    writeFileSync(join(was.directory, 'cluster.json'), wrong)
    await was.files.look()
    t.equal(was.text('cluster.json'), `${cluster}\n`)
  }
  rmSync(join(was.directory, 'cluster.json'))
  await was.files.look()
  t.equal(was.text('cluster.json'), `${cluster}\n`)
  t.notOk(readdirSync(was.directory).includes('single-cluster'))

  const { directory, files, logged } = await serving(t)
  writeFileSync(join(directory, 'cluster.json'), cluster)
  await files.look()
  await files.look()
  t.match(files.warnings, [/cluster.json has come while .*: workers and clients .* Move it away/])
  t.equal(logged.length, 1, 'once')
  rmSync(join(directory, 'cluster.json'))
  await files.look()
  t.same(files.warnings, [])
})

t.test('a directory that is gone is told once', async (t) => {
  const { directory, files, logged } = await serving(t)
  rmSync(directory, { recursive: true })
  await files.look()
  await files.look()
  t.match(files.warnings, [/can't be looked for.*ENOENT/])
  t.equal(logged.length, 1)
})

/** A master tells that the tables' directory is not what it was, where that is another mount than the one of `system/`. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WarehouseLook } from '../../../lib/cli/daemon/warehouse-look.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { until } from '../../support/until.ts'

t.test('missing, empty, and an error', async (t) => {
  const directory = join(t.testdir({}), 'warehouse')
  const clock = new HandClock()
  let isUsed = false
  const said: string[] = []
  const look = new WarehouseLook({
    directory,
    systemDirectory: join(directory, '..', 'system'),
    host: 'host3',
    isUsed: () => isUsed,
    everyMs: 1000,
    limitMs: 1000,
    clock,
    log: (_level, text) => void said.push(text),
  })
  const next = async (what: string, words: RegExp | null): Promise<void> => {
    await clock.advance(1000)
    await until(what, () =>
      words === null ? look.warnings.length === 0 : words.test(look.warnings.join()),
    )
  }
  look.start()
  await next('nobody has made a table yet', null)
  isUsed = true
  await next(
    'the tables have files, and it is not there',
    /warehouse.*on host3.* is not there, and/,
  )
  mkdirSync(directory)
  await next('a mount point without its mount', /is empty, and the catalog has tables with files/)
  mkdirSync(join(directory, 'default'))
  await next('it is mounted', null)
  rmSync(directory, { recursive: true })
  symlinkSync(directory, directory)
  await next('an error of the file system', /can't be used on host3.*ELOOP/)
  rmSync(directory)
  writeFileSync(directory, '')
  await next('no directory', /ENOTDIR/)
  look.stop()
  t.match(said.join('\n'), /queries on tables fail, or hang: .* is not there/)
})

t.test('what a term has left there, as every master looks for it', async (t) => {
  const dir = t.testdir({ warehouse: { default: {} }, system: { proof: {} } })
  const directory = join(dir, 'warehouse')
  const clock = new HandClock()
  const look = new WarehouseLook({
    directory,
    systemDirectory: join(dir, 'system'),
    host: 'host3',
    isUsed: () => false,
    everyMs: 1000,
    limitMs: 1000,
    clock,
    log: () => {},
  })
  const next = async (what: string, words: RegExp | null): Promise<void> => {
    await clock.advance(1000)
    await until(what, () =>
      words === null ? look.warnings.length === 0 : words.test(look.warnings.join()),
    )
  }
  const record = (name: string, path: string): void =>
    writeFileSync(join(dir, 'system', 'proof', `warehouse-${name}`), path)
  t.teardown(() => look.stop())
  look.start()
  record('term-0000000001-a', join(dir, 'another'))
  await next('a warehouse of another path', null)
  record('term-0000000002-b', directory)
  await next(
    'it is not there',
    /on host3.*warehouse\/\.proof\/term-0000000002-b, which the active master has made there, is not here: is it mounted/,
  )
  mkdirSync(join(directory, '.proof'))
  writeFileSync(join(directory, '.proof', 'term-0000000001-a'), '')
  await clock.advance(1000)
  t.equal(look.warnings.length, 1, 'the file of another term, or of a copy')
  writeFileSync(join(directory, '.proof', 'term-0000000002-b'), '')
  await next('it is there', null)
})

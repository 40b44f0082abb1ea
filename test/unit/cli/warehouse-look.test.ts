/** A master tells that the tables' directory is not what it was, where that is another mount than the one of `system/`. */
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { WarehouseLook } from '../../../lib/cli/warehouse-look.ts'
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

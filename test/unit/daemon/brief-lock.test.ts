/** A lock for a moment: waited for while somebody has it, and only then. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { lockBriefly } from '../../../lib/daemon/pidfile.ts'

t.test('of many that want it one has it at a time', async (t) => {
  const path = join(t.testdir({}), 'file')
  let holders = 0
  let most = 0
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      const unlock = await lockBriefly(path)
      holders += 1
      most = Math.max(most, holders)
      await sleep(5)
      holders -= 1
      await unlock()
    }),
  )
  t.equal(most, 1)
  t.notOk(existsSync(path), 'the file itself is nobody’s business')
})

t.test('where none can be made nobody waits', async (t) => {
  const directory = t.testdir({ file: 'x' })
  const late = new AbortController()
  // Waiting as for a lock that is held would take nearly twenty.
  const waited = sleep(10_000, 'waited', { signal: late.signal }).catch(() => 'over')
  const refused = lockBriefly(join(directory, 'file', 'below')).catch(({ code }) => code)
  t.equal(await Promise.race([refused, waited]), 'ENOTDIR')
  late.abort()
  t.strictSame(readdirSync(directory), ['file'])
})

/** Which file calls are told as hanging, and when a touch is lost. */
import t from 'tap'
import { CallWatch } from '../../../lib/ha/keeper/call-watch.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'

const DIRECTORY = '/data/system/ha'

function watched() {
  const clock = { now: 1000, nowMs: () => clock.now, wallMs: () => 0, after: () => () => {} }
  const answers = new Map<string, (value: unknown) => void>()
  const asked = (_purpose: string, path: string): Promise<never> =>
    new Promise((resolve) => answers.set(path, resolve as (value: unknown) => void))
  const disk = { touch: asked, create: asked, list: asked } as unknown as Disk
  const watch = new CallWatch(clock)
  const answer = async (path: string): Promise<void> => {
    answers.get(path)?.('done')
    await new Promise((resolve) => setImmediate(resolve))
  }
  return { clock, watch, disk: watch.over(disk), answer }
}

t.test('a call that hangs is told with its file, for as long as it hangs', async (t) => {
  const { clock, watch, disk, answer } = watched()
  void disk.touch('renew', 'active/epoch-0000000042/heartbeat', 1)
  clock.now += 499
  t.equal(watch.hanging(500, DIRECTORY), null)
  clock.now += 1
  const told = watch.hanging(500, DIRECTORY)
  t.match(told, /\/data\/system\/ha/)
  t.match(
    told,
    /touch active\/epoch-0000000042\/heartbeat \(renew, since 1970-01-01T00:00:00.000Z\)/,
  )
  clock.now += 5000
  t.equal(watch.hanging(500, DIRECTORY), told, 'the same sentence')
  await answer('active/epoch-0000000042/heartbeat')
  t.equal(watch.hanging(500, DIRECTORY), null)
})

t.test('of many the oldest are told', (t) => {
  const { clock, watch, disk } = watched()
  for (const path of ['a', 'b', 'c', 'd', 'e']) void disk.list('observe', path)
  clock.now += 1000
  t.match(watch.hanging(500, DIRECTORY), /list a .*list b .*list c .* and 2 more/)
  t.end()
})

t.test('a touch is lost when a look that began long after it was answered', async (t) => {
  const { clock, watch, disk, answer } = watched()
  const touchedMs = clock.now
  void disk.touch('renew', 'heartbeat', 1)
  void disk.create('claim', 'claim.json', '')
  t.equal(watch.lostTouch(touchedMs + 499, 500), null)
  t.match(watch.lostTouch(touchedMs + 500, 500), { path: 'heartbeat', text: /touch heartbeat/ })
  await answer('heartbeat')
  t.equal(watch.lostTouch(touchedMs + 9999, 500), null, 'a create may wait for long')
})

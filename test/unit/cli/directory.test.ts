/** A mount is blamed for its own silence only, not for that of a process that could not start. */
import t from 'tap'
import { askDirectory } from '../../../lib/cli/daemon/directory.ts'
import { pacedMs } from '../../support/pace.ts'
import { testdirOf } from '../../support/testdir.ts'

/** Every process that is started meanwhile stands still for so long before it begins. */
function startTakes(t: Pick<typeof import('tap').t, 'teardown'>, ms: number): void {
  const { NODE_OPTIONS } = process.env
  const wait = `Atomics.wait(new%20Int32Array(new%20SharedArrayBuffer(4)),0,0,${ms})`
  process.env.NODE_OPTIONS = `--import=data:text/javascript,${wait}`
  t.teardown(() => {
    if (NODE_OPTIONS === undefined) delete process.env.NODE_OPTIONS
    else process.env.NODE_OPTIONS = NODE_OPTIONS
  })
}

t.test('a process that starts late answers for a directory that is healthy', async (t) => {
  startTakes(t, 3000)
  const request = { op: 'members' as const, directory: testdirOf(t) }
  t.same(await askDirectory(request, 2000, pacedMs(60_000)), [])
})

t.test('one that never begins says nothing of the mount', async (t) => {
  startTakes(t, pacedMs(60_000))
  const request = { op: 'members' as const, directory: testdirOf(t) }
  await t.rejects(askDirectory(request, 1, 200), {
    message: `this host is too busy: the process that looks at ${request.directory} has not begun within 200 ms`,
  })
})

/** Which term counts for a worker: what its directory shows, however large a number somebody has said. */
import t from 'tap'
import { DirectoryTerm, type TermsShown } from '../../../lib/worker/directory-term.ts'
import { HandClock } from '../../support/hand-clock.ts'

const M = 1000
const LARGEST = 9_999_999_999

function world(random = 0) {
  const clock = new HandClock()
  const directory: TermsShown & { looks: number; read: () => Promise<TermsShown> } = {
    newest: 3,
    isAlone: false,
    looks: 0,
    read: async () => directory,
  }
  const shown: number[] = []
  const events: string[] = []
  const term = new DirectoryTerm({
    directory: 'DIR',
    read: () => {
      directory.looks += 1
      return directory.read()
    },
    everyMs: M,
    onShown: (one) => shown.push(one),
    clock,
    random: () => random,
    log: (_level, _text, facts) => void events.push(facts?.event ?? ''),
  })
  const show = (more: Partial<typeof directory>) => Object.assign(directory, more)
  return { clock, directory, show, shown, events, term }
}

t.test('what the directory shows counts at once, however soon it comes', async (t) => {
  const { directory, show, shown, term } = world()
  t.equal(await term.doubt(3), null)
  for (const newest of [4, 5, 6]) {
    show({ newest })
    t.equal(await term.doubt(newest), null)
  }
  t.same([shown, term.newest, directory.looks], [[3, 4, 5, 6], 6, 4])
  t.equal(await term.doubt(2), null, 'what is older is nobody’s hint')
  t.equal(directory.looks, 4)
})

t.test('a number that is not there counts for nothing, and costs a look in M', async (t) => {
  const { clock, directory, show, shown, events, term } = world()
  await term.doubt(3)
  t.match(await term.doubt(LARGEST), /^DIR has not shown term 9999999999 .* under term 3$/)
  for (let i = 0; i < 10; i++) t.match(await term.doubt(LARGEST - i), /under term 3$/)
  t.same([directory.looks, term.unshown, events], [2, 1, ['term-unshown']])
  await clock.advance(M - 1)
  await term.doubt(LARGEST)
  t.equal(directory.looks, 2)
  await clock.advance(1)
  show({ newest: 4 })
  t.match(await term.doubt(LARGEST), /under term 4$/)
  t.same([directory.looks, shown], [3, [3, 4]], 'what such a look finds counts')
  t.equal(await term.doubt(4), null)
})

t.test('those who have heard the same number don’t look together', async (t) => {
  const { clock, directory, term } = world(0.8)
  await term.doubt(LARGEST)
  await clock.advance(1.3 * M)
  await term.doubt(LARGEST)
  t.equal(directory.looks, 1)
  await clock.advance(0.2 * M)
  await term.doubt(LARGEST)
  t.equal(directory.looks, 2)
})

t.test('while the directory hangs the known term goes on to count, and that is said', async (t) => {
  const { clock, directory, show, shown, events, term } = world()
  await term.doubt(3)
  let answer = (_terms: TermsShown): void => {}
  const hanging = new Promise<TermsShown>((resolve) => {
    answer = resolve
  })
  show({ read: () => hanging })
  const waits = term.doubt(4)
  await clock.advance(M)
  t.match(await waits, /DIR has not answered for 1000 ms: this worker goes on under term 3$/)
  await clock.advance(10 * M)
  t.match(await term.doubt(5), /has not answered/, 'nobody waits any more')
  t.equal(await term.doubt(3), null)
  t.same([directory.looks, events], [2, ['term-unread']], 'and no second call hangs')
  answer({ newest: 4, isAlone: false })
  await clock.advance(0)
  t.same(shown, [3, 4], 'it answers after all')
  t.equal(await term.doubt(4), null)
})

t.test('a directory that can’t be read is asked again', async (t) => {
  const { clock, show, directory, term } = world()
  show({ read: () => Promise.reject(new Error('EIO')) })
  t.match(await term.doubt(3), /since DIR can't be read: EIO: this worker goes on under term 0$/)
  show({ read: async () => directory })
  t.match(await term.doubt(3), /EIO/, 'not before M')
  await clock.advance(M)
  t.equal(await term.doubt(3), null)
})

t.test('a master that is alone is believed, and nobody is refused for that', async (t) => {
  const { directory, show, shown, term } = world()
  show({ newest: 0, isAlone: true })
  t.equal(await term.doubt(7), null)
  t.equal(await term.doubt(7), null)
  t.same([term.newest, shown, directory.looks], [0, [], 1])
})

t.test('another cluster counts its own terms, and no late answer of the former one', async (t) => {
  const { show, shown, term } = world()
  let answer = (_terms: TermsShown): void => {}
  show({
    read: () =>
      new Promise((resolve) => {
        answer = resolve
      }),
  })
  const former = term.doubt(9)
  term.forget()
  answer({ newest: 9, isAlone: false })
  t.match(await former, /under term 0$/)
  show({ read: async () => ({ newest: 1, isAlone: false }) })
  t.equal(await term.doubt(1), null)
  t.same([term.newest, shown], [1, [1]])
})

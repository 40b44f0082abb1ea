/** The table of faults fits the code, and what counts as found is read rightly. The faults themselves: `npm run faults`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { HOME } from '../support/install.ts'
import { broken, FAULTS } from './faults.ts'
import { type Failure, type FileEnd, TapReader } from './tap-reader.ts'

t.test('every fault can be put in, and its tests are there', async (t) => {
  for (const fault of FAULTS) {
    t.doesNotThrow(() => broken(fault, HOME), fault.name)
    for (const test of fault.tests) t.ok(existsSync(join(HOME, 'build/test', test)), test)
  }
  t.equal(new Set(FAULTS.map(({ name }) => name)).size, FAULTS.length)
})

t.test(
  'a text that is not there, or there twice, is told with the name of the fault',
  async (t) => {
    const fault = { name: 'x is y', kind: 'hang', tests: [], says: /x/ } as const
    const file = 'package.json'
    for (const find of ['no such text', '"']) {
      const edits = [{ file, find, replace: '' }]
      t.throws(() => broken({ ...fault, edits }, HOME), {
        message: /'x is y' does not fit package/,
      })
    }
  },
)

function read(text: string, chunk: number): { failures: Failure[]; files: FileEnd[] } {
  const failures: Failure[] = []
  const files: FileEnd[] = []
  const reader = new TapReader({
    onFailure: (failure) => failures.push(failure),
    onFile: (file) => files.push(file),
  })
  for (let at = 0; at < text.length; at += chunk) reader.push(text.slice(at, at + chunk))
  reader.end()
  return { failures, files }
}

t.test('failed assertions are told with the tests around them, and nothing else is', async (t) => {
  const text = `TAP version 14
1..3
# Subtest: a.test.js
    # Subtest: outer
        # Subtest: inner
            ok 1 - fine
            not ok 2 - not fine
              ---
              diff: |
                -4
                +1
              source: |
                # Subtest: no test
                not ok 9 - a line of source
              ...
            not ok 3 - later # TODO
            1..3
        not ok 1 - inner # time=3.5ms
          ---
          at: here
          ...
        not ok 2 - beside
        1..2
    not ok 1 - outer # time=4ms
    1..1
not ok 1 - a.test.js # time=700.25ms
  ---
  exitCode: 1
  ...
# Subtest: broken.test.js
    1..0 # no tests found
not ok 2 - broken.test.js # time=70ms
  ---
  exitCode: 1
  ...
# Subtest: c.test.js
    ok 1 - fine
    1..1
ok 3 - c.test.js # time=1ms
`
  for (const chunk of [1, 7, text.length]) {
    const { failures, files } = read(text, chunk)
    t.match(failures, [
      { path: ['a.test.js', 'outer', 'inner', 'not fine'], diagnostics: /-4\n +\+1/ },
      { path: ['a.test.js', 'outer', 'beside'], diagnostics: '' },
    ])
    t.equal(failures.length, 2)
    t.same(files, [
      { file: 'a.test.js', ok: false, ms: 700.25 },
      { file: 'broken.test.js', ok: false, ms: 70 },
      { file: 'c.test.js', ok: true, ms: 1 },
    ])
  }
})

t.test('what failed last counts also when the run was ended in the middle of it', async (t) => {
  const text = '# Subtest: a.test.js\n    not ok 1 - waited in vain\n      ---\n      at: here\n'
  t.match(read(text, 5).failures, [{ path: ['a.test.js', 'waited in vain'], diagnostics: 'at' }])
})

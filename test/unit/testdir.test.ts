/** A test's directory is removed after its teardowns have run, so that what they end can't write there any more. */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { testdirOf } from '../support/testdir.ts'

let path = ''
let wasThere = false

t.test('a directory, then a teardown', async (t) => {
  path = testdirOf(t)
  writeFileSync(join(path, 'a'), '')
  t.teardown(() => {
    wasThere = existsSync(join(path, 'a'))
  })
})

t.test('it was there when the teardown ran, and is gone now', async (t) => {
  t.ok(wasThere)
  t.notOk(existsSync(path))
})

/**
 * A directory of a test's own, which goes when all that the test has started has ended.
 *
 * tap removes such a directory before the teardowns where the first of them comes later than the directory. What still
 * writes there then makes the removal fail, no teardown is called any more, and the test never ends.
 */
import type { Test } from 'tap'

export function testdirOf(t: Pick<Test, 'teardown' | 'testdir'>): string {
  t.teardown(() => {})
  return t.testdir()
}

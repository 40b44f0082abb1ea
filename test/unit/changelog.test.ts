/** What a release does to the changelog. */
import t from 'tap'
import { isLater, released } from '../house/changelog.ts'

t.test('the heading of what is not released yet gets version and day', async (t) => {
  const before = '# Changelog\n\n## 0.2.0 (unreleased)\n\n- New.\n\n## 0.1.0 (2026-01-02)\n'
  const day = new Date('2026-11-30T23:00:00Z')
  t.equal(
    released(before, '0.3.0', day),
    '# Changelog\n\n## 0.3.0 (2026-11-30)\n\n- New.\n\n## 0.1.0 (2026-01-02)\n',
  )
  t.throws(() => released('# Changelog\n', '0.3.0', day), /no heading such as/)
})

t.test('versions are compared number by number', async (t) => {
  t.ok(isLater('0.10.0', '0.9.9'))
  t.ok(isLater('1.0.0', '0.9.9'))
  t.notOk(isLater('0.9.9', '0.10.0'))
  t.notOk(isLater('0.1.0', '0.1.0'))
})

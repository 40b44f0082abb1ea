/** The Korean handbook says what the English one says, section by section. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { differences, KOREAN, markOf, sectionsOf } from '../house/korean.ts'
import { HOME } from '../support/install.ts'

for (const [english, korean] of Object.entries(KOREAN)) {
  t.test(`${korean} is the translation of ${english}`, async (t) => {
    const [ours, theirs] = [english, korean].map((path) => readFileSync(join(HOME, path), 'utf8'))
    t.same(differences(ours ?? '', theirs ?? ''), [])
  })
}

t.test('a section that is not as the English one is named', async (t) => {
  const english = '# Start\n\nSet `a.b`:\n\n    run --now  # at once\n'
  const [start] = sectionsOf(english)
  const mark = start === undefined ? '' : markOf(start)
  const korean = (body: string): string => `# 시작\n${mark}\n${body}`
  const good = '`a.b`를 설정합니다.\n\n    run --now  # 바로\n'
  t.same(differences(english, korean(good)), [])
  t.match(differences(english.replace('Set', 'Never set'), korean(good)), [/has changed since/])
  t.match(differences(english, korean(good.replace('a.b', 'a.c'))), [
    /lacks names: `a.b`/,
    /its own/,
  ])
  t.match(differences(english, korean(good.replace('--now', '--later'))), [/lacks commands/, /own/])
  t.match(differences(english, `# 시작\n${good}`), [/has no mark/])
  t.match(differences(english, `${korean(good)}\n## 또\n`), [/2 sections in Korean/])
})

import t from 'tap'
import { jsonInSlices } from '../../../lib/serve/server.ts'

const list = (count: number) => Array.from({ length: count }, (_, i) => ({ i, text: `"${i}"` }))

t.test('it says what JSON says, however long its list is', async (t) => {
  const answers: unknown[] = [
    null,
    1,
    'text',
    list(2000),
    {},
    { few: list(3), none: undefined },
    { many: list(2000) },
    { before: 1, 'many "of" them': list(2000), after: null, none: undefined },
    { many: [...list(600), undefined, null], also: list(600) },
  ]
  for (const answer of answers) {
    t.same(JSON.parse(String(await jsonInSlices(answer))), JSON.parse(JSON.stringify(answer)))
  }
})

t.test('the loop has its turns meanwhile', async (t) => {
  let nowMs = 0
  let turns = 0
  const hand = {
    nowMs: () => ++nowMs,
    turn: async () => {
      turns += 1
    },
  }
  await jsonInSlices({ many: list(1000) }, hand)
  t.ok(turns > 100)
})

/**
 * The seeded simulation: a fixed set of schedules and as many fresh ones. A failure prints its seed, what was drawn for
 * it, and the one command that replays it.
 */
import { test } from 'tap'
import { runMany } from './many.ts'
import { runSchedule } from './schedule.ts'

const FIXED = 8_000
const FRESH = 12_000

test('the same seed gives the same run', async (t) => {
  const lines: string[][] = [[], []]
  for (const own of lines) await runSchedule({ seed: 4711, write: (line) => own.push(line) })
  t.ok((lines[0]?.length ?? 0) > 10)
  t.same(lines[0], lines[1])
})

for (const [name, from, seeds] of [
  ['fixed seeds', 1, FIXED],
  ['fresh seeds', Date.now(), FRESH],
] as const) {
  test(`no schedule breaks a promise: ${seeds} ${name}`, { timeout: 900_000 }, async (t) => {
    const report = await runMany({ from, seeds })
    t.comment(report.text)
    t.equal(report.schedules, seeds)
    t.ok(report.activations > seeds, 'terms change often enough to mean something')
    t.ok(report.acks > seeds, 'changes are acknowledged')
    t.equal(report.failures.length, 0, report.text)
  })
}

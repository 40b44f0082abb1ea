/** Every scenario of scenarios/*.txt. `node build/test/sim/scenarios.test.js NAME` runs one of them and writes its steps. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { HISTORY_DIR } from '../../lib/ha/words/layout.ts'
import type { Disk } from '../../lib/ha/world/ports.ts'
import { registersUnderOneName } from './guards.ts'
import { runScenario } from './scenario.ts'

/** The texts stay beside their sources; this file runs from build/. */
const FOLDER = fileURLToPath(new URL('../../../test/sim/scenarios/', import.meta.url))
const only = process.argv[2]

for (const file of readdirSync(FOLDER).sort()) {
  const name = file.replace(/\.txt$/, '')
  if (only !== undefined && only !== name) continue
  test(name, async (t) => {
    const text = readFileSync(`${FOLDER}${file}`, 'utf8')
    const { seconds } = await runScenario(
      text,
      only === undefined ? null : (line) => t.comment(line),
    )
    t.pass(`${Math.round(seconds)} s of virtual time`)
  })
}

test('it is noticed: register anew under the name of before', async (t) => {
  const text = readFileSync(`${FOLDER}registered-anew.txt`, 'utf8')
  const breaks = { disk: registersUnderOneName }
  await t.rejects(runScenario(text, null, breaks), /"active m2 within 600": none of them serves/)
})

test('it is noticed: history/ is not put back', async (t) => {
  const text = readFileSync(`${FOLDER}history-gone.txt`, 'utf8')
  const disk = (whole: Disk): Disk => {
    const { makeDirs } = whole
    whole.makeDirs = async (purpose, path) => {
      if (purpose !== 'upkeep' || path !== HISTORY_DIR) await makeDirs.call(whole, purpose, path)
    }
    return whole
  }
  await t.rejects(
    runScenario(text, null, { disk }),
    /"active m2 within 2500": one term, one master/,
  )
})

test('a step that fails is named', async (t) => {
  const world = 'world masters 2 hosts 2 monitor 1000\nstart m1\n'
  await t.rejects(runScenario(`${world}active m2 within 500`), /line 3, "active m2 within 500"/)
  await t.rejects(runScenario(`${world}fault boredom at m1`), /no fault/)
  await t.rejects(runScenario(`${world}dance`), /"dance" is no step/)
})

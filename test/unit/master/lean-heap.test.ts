import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import t from 'tap'

const MODULE = new URL('../../../lib/master/lean-heap.js', import.meta.url)

/** Lives in a list whose parts are replaced again and again: what they replace is old, and goes with whole collections only. */
const WORK = `
let most = 0
const made = (round) => Array.from({ length: 2000 }, (_, at) => ({ at, round }))
const live = Array.from({ length: 400 }, () => made(0))
for (let round = 1; round < 15; round += 1)
  for (const at of live.keys()) {
    live[at] = made(round)
    if (at % 20 !== 0) continue
    most = Math.max(most, process.memoryUsage().heapUsed)
    await new Promise(setImmediate)
  }
console.log(most)
`

/** The largest heap of a process that does the work, bytes. */
async function largestHeap(before: string): Promise<number> {
  const words = ['--input-type=module', '--eval', `${before}\n${WORK}`]
  const { NODE_OPTIONS: _loader, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, words, { env })
  return Number(stdout)
}

t.test('a lean heap keeps less garbage, until it may grow again', async (t) => {
  const load = `import { keepHeapLean } from ${JSON.stringify(MODULE.href)}`
  const asEver = await largestHeap('')
  const lean = await largestHeap(`${load}\nkeepHeapLean(true)`)
  const again = await largestHeap(`${load}\nkeepHeapLean(true)\nkeepHeapLean(false)`)
  t.ok(lean < asEver / 1.4, `${lean} where it would be ${asEver}`)
  t.ok(lean < again / 1.4, `${lean} where it would be ${again}`)
})

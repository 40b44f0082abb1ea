/** Virtual time never goes back, whoever asks for it. */
import t from 'tap'
import { Timeline } from '../sim/world/timeline.ts'

t.test('a time that is over already is no reason to go back to it', async (t) => {
  const timeline = new Timeline()
  await timeline.runUntil(6500)
  await timeline.runUntil(2675)
  t.equal(timeline.nowMs, 6500)
})

import t from 'tap'
import { makeTiming } from '../../../lib/ha/index.ts'
import { roomForActivationMs, slowActivation } from '../../../lib/master/activation-time.ts'

t.test('an activation is told that does not fit into what M leaves for it', async (t) => {
  const timing = makeTiming(5000)
  t.equal(roomForActivationMs(timing), 1400)
  t.equal(slowActivation(7, 1400, timing), null)
  t.equal(
    slowActivation(7, 4600, timing),
    'this master took 4.6 s to open the catalog in term 7, and a monitor interval of 5 s leaves 1.4 s for it: a host that is lost may be replaced later than promised. Either the storage is slow, or the catalog is large for it; tajo.master.ha.monitor.interval would have to be 17 s',
  )
})

t.test('with the interval that is named it fits', async (t) => {
  for (const tookMs of [1450, 4600, 60_000]) {
    const named = /would have to be (\d+) s/.exec(slowActivation(1, tookMs, makeTiming(5000)) ?? '')
    t.equal(slowActivation(1, tookMs, makeTiming(Number(named?.[1]) * 1000)), null)
  }
})

/** The range of outgoing connections, as the kernel writes it. */
import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  DEFAULT_EPHEMERAL_PORTS,
  ephemeralPorts,
  isPortIn,
  parsePortRange,
} from '../../../lib/base/port-holder.ts'

t.test('what is a range, and what is none', async (t) => {
  t.same(parsePortRange('32768\t60999\n'), DEFAULT_EPHEMERAL_PORTS)
  t.same(parsePortRange('1024 65535'), { first: 1024, last: 65_535 })
  for (const text of ['', '32768', 'a b', '0 10', '60999 32768', '1 65536', '1 2 3']) {
    t.equal(parsePortRange(text), null, text)
  }
})

t.test('both ends are part of it', async (t) => {
  const range = { first: 10, last: 20 }
  t.same(
    [9, 10, 20, 21].map((port) => isPortIn(port, range)),
    [false, true, true, false],
  )
})

t.test('the one of this host', async (t) => {
  const text = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
  t.same(ephemeralPorts(), parsePortRange(text))
})

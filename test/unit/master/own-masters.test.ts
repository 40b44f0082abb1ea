/** Whom a master counts among its cluster when a client asks: members, also former ones, past holders, listed ones. */
import t from 'tap'
import type { Addresses, HistoryEntry, MemberView } from '../../../lib/ha/index.ts'
import { OwnMasters } from '../../../lib/master/network/heard.ts'

const addressesOf = (host: string, first: number): Addresses => ({
  umbilical: `${host}:${first}`,
  clientRpc: `${host}:${first + 1}`,
  resourceTracker: `${host}:${first + 2}`,
  catalog: `${host}:${first + 3}`,
  infoHttp: `${host}:${first + 4}`,
})
const memberOf = (host: string, first: number, hostname = host) => ({
  address: `${host}:${first}`,
  addresses: addressesOf(host, first),
  hostname,
})
const viewOf = (...peers: readonly object[]): MemberView =>
  ({ self: memberOf('localhost', 100, 'host1'), active: null, peers }) as unknown as MemberView

t.test('members under all their names, past holders, listed ones', async (t) => {
  const past = [{ term: { address: 'host4:100', hostname: 'host4' }, served: null }]
  const ours = new OwnMasters({
    listed: () => ['host1:100', 'host5:100', 'stranger:100', 'nonsense'],
    isForeign: (address) => address === 'stranger:100',
    history: async () => past as unknown as HistoryEntry[],
  })
  ours.note(viewOf(memberOf('host2', 200)))
  ours.note(viewOf(memberOf('localhost', 300, 'host3')))
  const names = await ours.names(viewOf())
  t.same(
    new Set(names),
    new Set([
      ...['localhost:101', 'host1:101'],
      // It is down by now.
      'host2:201',
      ...['localhost:301', 'host3:301'],
      'host4:101',
      'host5:101',
    ]),
  )
})

t.test('a history that can not be read, and many who come and go', async (t) => {
  const ours = new OwnMasters({
    listed: () => [],
    isForeign: () => false,
    history: () => Promise.reject(new Error('its mount hangs')),
  })
  for (let i = 0; i < 100; i += 1) ours.note(viewOf(memberOf(`h${i}`, 100)))
  const names = await ours.names(viewOf())
  t.ok(names.includes('h99:101'))
  t.notOk(names.includes('h0:101'))
  t.equal(names.length, 66)
})

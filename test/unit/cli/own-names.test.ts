/** By which names browsers may ask the info ports of a host, and what the key for more of them takes. */
import t from 'tap'
import { ownNames } from '../../../lib/cli/daemon/own-names.ts'
import { buildConfiguration, type Configuration } from '../../../lib/conf/index.ts'
import { siteXml } from '../../support/test-daemon.ts'

const KEY = 'tajo.master.info-http.names'
const confOf = (names: string): Configuration =>
  buildConfiguration(
    {
      confDir: '/conf',
      tajoSite: { file: '/conf/tajo-site.xml', text: siteXml({ [KEY]: names }) },
      catalogSite: null,
    },
    { env: { TAJO_HOME: '/opt/tajo' }, userName: 'ann' },
  )
const listed = (...hosts: string[]) => ({
  entries: hosts.map((host, i) => ({ host, port: null, name: host, line: i + 1 })),
})

t.test('of the configuration, of conf/masters, of this host', (t) => {
  const conf = confOf('Tajo.Example.com, lb-1')
  const own = ['0.0.0.0', 'Host3.example.com:26080', '[2001:db8::2]:26080']
  t.same(ownNames(conf, listed('host1', '10.0.0.2'), own, 'HOST3.lan'), [
    ...['tajo.example.com', 'lb-1', 'host1', '10.0.0.2', '0.0.0.0'],
    ...['host3.example.com', '2001:db8::2', 'host3.lan', 'host3'],
  ])
  t.same(ownNames(confOf(''), listed('host1'), [], 'host1'), ['host1'])
  t.end()
})

t.test('a name is a name', (t) => {
  for (const wrong of [
    'tajo.example.com:8080',
    'http://tajo',
    '*.example.com',
    'a..b',
    '-a',
    'a b',
  ])
    t.throws(
      () => confOf(wrong),
      { message: new RegExp(`${KEY}.*host names without a port`) },
      wrong,
    )
  t.same(confOf('a\n# none\n b.c ').get(KEY), ['a', 'b.c'])
  t.end()
})

/**
 * The examples of docs/monitoring before their own judges: promtool on the alerts, HAProxy on its configuration, Prometheus
 * on a real master, and each metric that they name looked up in what a master tells.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { systemClock } from '../../lib/base/time.ts'
import { TermsBegun } from '../../lib/master/activation-time.ts'
import { Metrics } from '../../lib/web/metrics.ts'
import { freePortRow } from '../support/free-ports.ts'
import { monitorMs } from '../support/pace.ts'
import { findProgram, hasParts } from '../support/parts.ts'
import { start } from '../support/processes.ts'
import { run } from '../support/run.ts'
import { ask, makeCluster } from '../support/test-masters.ts'
import { until } from '../support/until.ts'

const FOLDER = fileURLToPath(new URL('../../../docs/monitoring', import.meta.url))
const textOf = (name: string): string => readFileSync(`${FOLDER}/${name}`, 'utf8')

/** Of an active master with one of everything. */
async function metricsOfAMaster(): Promise<string> {
  const metrics = new Metrics()
  metrics.renewal(2)
  metrics.call({ service: 'client', method: 'status', code: 'ok', tookMs: 1 })
  return metrics.text({
    state: 'active',
    serving: true,
    term: 1,
    leaseMarginMs: 2000,
    lastRenewalMs: 2,
    storageReadable: true,
    warehouseAnswers: true,
    storageWritable: true,
    catalogWaits: false,
    catalogAgeMs: 0,
    space: { freeBytes: 1e9, freeFiles: 1e6, low: { bytes: false, files: false }, refused: null },
    problems: new Map([['host2:26001', 'it could not claim term 3']]),
    peersKnown: 1,
    peersConnected: 1,
    heartbeatAgesMs: new Map([['host2:26001', 90]]),
    transitions: 3,
    termsBegun: new TermsBegun({ newest: async () => [], clock: systemClock }).counts,
    foreignMasters: 0,
    otherDirectories: 0,
    unprovenDirectories: 0,
    storageDangers: 0,
    refusedClusters: 0,
    refusedSecrets: 0,
    refusedTerms: 0,
    splitBrainAlarms: 0,
    requestsInFlight: 0,
    workers: { live: 1, silent: 0, slots: 4, running: 0 },
    queries: { queued: 0, running: 0, succeeded: 0, failed: 0, killed: 0 },
    tables: { tables: 3, files: 40, bytes: 5000, mostFiles: 30, mostBytes: 4000 },
    pauses: { maxMs: 12, p99Ms: 11 },
    memoryBytes: 1,
    startedAtSeconds: 1,
  })
}

t.test('promtool: the alerts are well-formed and fire when they should', async (t) => {
  if (!hasParts(t, 'promtool')) return
  const promtool = findProgram('promtool') ?? 'promtool'
  for (const words of [
    ['check', 'rules', 'tajo-alerts.yml'],
    ['check', 'config', 'prometheus.yml'],
    ['test', 'rules', 'tajo-alerts.test.yml'],
  ]) {
    const { code, stdout, stderr } = await run([promtool, ...words], { cwd: FOLDER })
    t.equal(code, 0, `${words.join(' ')}\n${stdout}${stderr}`)
  }
  const alerts = textOf('tajo-alerts.yml').matchAll(/- alert: (\w+)/g)
  const tried = textOf('tajo-alerts.test.yml')
  for (const [, alert] of alerts) t.ok(tried.includes(`- alertname: ${alert}\n`), `${alert}: tried`)
})

t.test('Prometheus asks masters of one cluster only', async (t) => {
  const [, id = ''] = /params:\n +cluster: \['([^']+)'\]\n/.exec(textOf('prometheus.yml')) ?? []
  t.match(id, /^[0-9a-f-]{36}$/)
})

t.test('Prometheus with the example scrapes a master, whatever it calls it', async (t) => {
  if (!hasParts(t, 'promtool')) return
  const cluster = await makeCluster(t, { count: 1, monitorMs: monitorMs(5000) })
  const { active } = await cluster.settled()
  const { clusterId } = await active.cluster()
  const example = textOf('prometheus.yml')
  const [, targets = ''] = /targets: \[(.*)\]/.exec(example) ?? []
  const called = [...targets.matchAll(/'([^']+)'/g)].map(([, target = '']) => target)
  t.equal(called.length, 3)
  for (const host of called) {
    const headers = { host, accept: 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5' }
    const { status } = await ask(active.ports.info, `/metrics?cluster=${clusterId}`, { headers })
    t.equal(status, 200, `${host}, which no configuration of ours names`)
  }
  const dir = mkdtempSync(join(tmpdir(), 'tajo-prometheus-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  writeFileSync(join(dir, 'tajo-alerts.yml'), textOf('tajo-alerts.yml'))
  const configuration = example
    .replace(/cluster: \['[^']+'\]/, `cluster: ['${clusterId}']`)
    .replace(targets, `'127.0.0.1:${active.ports.info}'`)
    .replace('scrape_interval: 5s', 'scrape_interval: 1s')
  writeFileSync(join(dir, 'prometheus.yml'), configuration)
  const port = await freePortRow(1)
  const prometheus = start([
    findProgram('prometheus') ?? 'prometheus',
    `--config.file=${join(dir, 'prometheus.yml')}`,
    `--storage.tsdb.path=${join(dir, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ])
  t.teardown(() => prometheus.kill('SIGKILL'))
  const isUp = async (): Promise<boolean> => {
    const { text } = await ask(port, '/api/v1/query?query=up')
    return /"value":\[[0-9.]+,"1"\]/.test(text)
  }
  await until('Prometheus says that the master is up', isUp, { needs: [prometheus] })
})

t.test('HAProxy starts though a host has no address', async (t) => {
  if (!hasParts(t, 'haproxy')) return
  // host1, host2 and host3 are names of the example only.
  const file = `${FOLDER}/haproxy.cfg`
  const { code, stderr } = await run([findProgram('haproxy') ?? 'haproxy', '-c', '-f', file])
  t.equal(code, 0, stderr)
})

t.test('every metric that is named is told', async (t) => {
  const told = await metricsOfAMaster()
  const families = new Map<string, string>()
  for (const [, name = '', type = ''] of told.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    families.set(name, type)
    if (type === 'histogram') families.set(`${name}_bucket`, type)
  }
  for (const file of [
    'tajo-alerts.yml',
    'tajo-alerts.test.yml',
    'grafana-dashboard.json',
    'README.md',
  ]) {
    const named = textOf(file).matchAll(/\b(tajo_[a-z_]+|process_[a-z_]+)\b/g)
    const names = new Set([...named].map(([name]) => name))
    t.ok(names.size > 5, `${file}: ${names.size} metrics`)
    for (const name of names) t.ok(families.has(name), `${file}: ${name}`)
  }
})

t.test(
  'each reason for a term is counted from 0, so that the first failover is an increase',
  async (t) => {
    const told = await metricsOfAMaster()
    const [, ofAlert = ''] = /terms_total\{reason=~"([^"]+)"/.exec(textOf('tajo-alerts.yml')) ?? []
    const [, row = ''] = /terms_total\{reason\}` \|([^|]+)\|/.exec(textOf('README.md')) ?? []
    const documented = [...row.matchAll(/`([a-z-]+)`/g)].map(([, reason]) => reason)
    t.ok(documented.length > 8)
    for (const reason of [...ofAlert.split('|'), ...documented]) {
      t.match(told, `tajo_master_terms_total{reason="${reason}"} 0\n`)
    }
  },
)

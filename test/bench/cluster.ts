/** One real master and a real worker in a directory of their own, for benches; ended and removed by `end`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SoakMaster } from '../soak/soak-master.ts'
import { freePortRow } from '../support/free-ports.ts'
import { TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'
import { type CatalogSize, formCluster } from './make-catalog.ts'

export interface BenchCluster {
  readonly dir: string
  readonly root: string
  readonly master: SoakMaster
  readonly workers: readonly TestWorker[]
  end(): Promise<void>
}

export async function benchCluster(options: {
  readonly workers: number
  readonly site?: Readonly<Record<string, string>>
  /** Of the catalog; by default it is empty. */
  readonly size?: CatalogSize
}): Promise<BenchCluster> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-bench-'))
  const root = join(dir, 'root')
  const site = options.site ?? {}
  const master = new SoakMaster(join(dir, 'master'), await freePortRow(5), {
    'tajo.rootdir': `file://${root}`,
    'tajo.master.ha.enable': 'true',
    ...site,
  })
  if (options.size !== undefined) await formCluster(root, master, options.size)
  const workers: TestWorker[] = []
  for (let i = 0; i < options.workers; i += 1) {
    workers.push(
      await TestWorker.make({ dir: join(dir, `worker-${i}`), root, masters: [master], site }),
    )
  }
  await master.start()
  await until('the master serves', async () => {
    // Its keeper may kill it over a large catalog, on a busy machine: the next opening gets more time.
    if (master.hasEnded) await master.start()
    return master.health('active')
  })
  await Promise.all(workers.map((worker) => worker.start()))
  return {
    dir,
    root,
    master,
    workers,
    end: async () => {
      for (const worker of workers) if (!worker.hasEnded) worker.kill('SIGTERM')
      if (!master.hasEnded) process.kill(master.pid, 'SIGTERM')
      await Promise.all([...workers, master].map((daemon) => daemon.ended()))
      rmSync(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
    },
  }
}

export const quantile = (values: readonly number[], q: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

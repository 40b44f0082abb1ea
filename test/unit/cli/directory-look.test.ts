/** No trouble to a worker is a storage that answers, whatever file of the directory was removed. */
import { randomUUID } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ownClusterId } from '../../../lib/cli/daemon/cluster-identity.ts'
import { lookAtDirectory } from '../../../lib/cli/daemon/directory.ts'
import { testdirOf } from '../../support/testdir.ts'

t.test('of a master without high availability, which makes no cluster.json', async (t) => {
  const directory = testdirOf(t)
  const id = await ownClusterId(directory)
  await lookAtDirectory(directory, id)
  await t.rejects(lookAtDirectory(directory, 'other'), {
    message: `${directory} holds cluster ${id}, and this worker is one of cluster other: is the shared directory mounted there?`,
  })
  const file = join(directory, 'single-cluster')
  for (const torn of ['', 'garbage']) {
    writeFileSync(file, torn)
    await lookAtDirectory(directory, id)
  }
  rmSync(file)
  mkdirSync(file)
  await lookAtDirectory(directory, id)
})

t.test('of masters with high availability', async (t) => {
  const directory = join(testdirOf(t), 'ha')
  mkdirSync(directory)
  const file = join(directory, 'cluster.json')
  const id = randomUUID()
  const cluster = {
    format: 4,
    clusterId: id,
    generation: 1,
    catalog: { class: 'SharedStore', uri: 'file:///catalog' },
    createdAt: '2026-01-01',
  }
  writeFileSync(file, `${JSON.stringify(cluster)}\n`)
  await lookAtDirectory(directory, id)
  await t.rejects(lookAtDirectory(directory, randomUUID()), /is the shared directory mounted there/)
  writeFileSync(file, '{"torn')
  await lookAtDirectory(directory, id)
  rmSync(file)
  await lookAtDirectory(directory, id)
  mkdirSync(file)
  await lookAtDirectory(directory, id)
  rmSync(directory, { recursive: true })
  await t.rejects(lookAtDirectory(directory, id), {
    message: `${directory} is not there: is the shared directory mounted?`,
  })
})

/** `npm run bench -- NAME [options]`: figures of this machine, each bench in one run of its own. */

/** Each is a program that reads its options from the words after its name. */
const BENCHES: Readonly<Record<string, { about: string; run: () => Promise<unknown> }>> = {
  backup: {
    about: 'what a backup takes of a core and of memory, at rest and following changes',
    run: () => import('./backup.ts'),
  },
  'cold-start': {
    about: 'how long a cluster takes to serve, of which no master ran, by the size of the catalog',
    run: () => import('./cold-start.ts'),
  },
  failover: {
    about:
      'what clients wait for when the active is killed or hands over, by the size of the catalog',
    run: () => import('./failover.ts'),
  },
  pauses: {
    about: 'for how long the event loop of the active pauses with a large catalog',
    run: () => import('./pauses.ts'),
  },
  queries: {
    about: 'what the cluster adds to a query',
    run: () => import('./queries.ts'),
  },
  workers: {
    about: 'what many idle workers cost the active',
    run: () => import('./workers.ts'),
  },
}

const name = process.argv[2] ?? ''
const bench = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
if (bench === undefined) {
  const list = Object.entries(BENCHES).map(([each, { about }]) => `  ${each.padEnd(10)} ${about}\n`)
  const what = name === '' ? 'which bench?' : `there is no bench '${name}':`
  process.stderr.write(`bench: ${what} npm run bench -- NAME [options]\n${list.join('')}`)
  process.exitCode = 2
} else {
  await bench.run()
}

/** A real PostgreSQL server of a test. Needs the part `postgres`. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import type { Test } from 'tap'
import { type DatabaseServer, startDatabaseServer } from './database-server.ts'
import { findProgram } from './parts.ts'

const program = (name: string): string => findProgram(name) ?? name

const USER = 'tajo'
const PASSWORD = "it's a secret"

export const startPostgres = (t: Test): Promise<DatabaseServer> =>
  startDatabaseServer(t, {
    name: 'postgres',
    scheme: 'postgresql',
    runAs: 'postgres',
    user: USER,
    password: PASSWORD,
    // Fast: ends connections in good order.
    stopSignal: 'SIGINT',
    async initialise(directory) {
      const file = join(directory, 'password')
      writeFileSync(file, `${PASSWORD}\n`, { mode: 0o644 })
      return [
        program('initdb'),
        ...['--pgdata', join(directory, 'data'), '--username', USER, '--pwfile', file],
        ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
      ]
    },
    isReady: letsIn,
    serve: (directory, port) => [
      program('postgres'),
      ...['-D', join(directory, 'data'), '-p', String(port), '-h', '127.0.0.1', '-k', directory],
    ],
  })

/** It accepts connections long before it has recovered from a crash. */
async function letsIn(port: number): Promise<boolean> {
  const client = new pg.Client({
    ...{ host: '127.0.0.1', port, user: USER, password: PASSWORD, database: 'postgres' },
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return true
  } catch {
    return false
  } finally {
    await client.end().catch(() => undefined)
  }
}

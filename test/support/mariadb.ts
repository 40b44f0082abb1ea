/** A real MariaDB server of a test. Needs the part `mariadb`. */
import { join } from 'node:path'
import { createConnection } from 'mariadb'
import type { Test } from 'tap'
import { type DatabaseServer, startDatabaseServer } from './database-server.ts'
import { findProgram } from './parts.ts'
import { until } from './until.ts'

const program = (name: string): string => findProgram(name) ?? name

const USER = 'tajo'
const PASSWORD = 'it\'s a "secret"'

/** None of the system's configuration; as root it runs as root, which it wants to be told. */
const words = (directory: string): string[] => [
  '--no-defaults',
  `--datadir=${join(directory, 'data')}`,
  ...(process.getuid?.() === 0 ? ['--user=root'] : []),
]
const socketOf = (directory: string): string => join(directory, 'socket')

export const startMariadb = (t: Test): Promise<DatabaseServer> =>
  startDatabaseServer(t, {
    name: 'mariadb',
    scheme: 'mariadb',
    runAs: null,
    user: USER,
    password: PASSWORD,
    stopSignal: 'SIGTERM',
    async initialise(directory) {
      const more = ['--auth-root-authentication-method=normal', '--skip-test-db']
      return [program('mariadb-install-db'), ...words(directory), ...more]
    },
    serve: (directory, port) => [
      program('mariadbd'),
      ...words(directory),
      ...[`--port=${port}`, '--bind-address=127.0.0.1', `--socket=${socketOf(directory)}`],
      ...[`--pid-file=${join(directory, 'pid')}`, '--skip-log-bin'],
    ],
    async prepare(directory) {
      const socketPath = socketOf(directory)
      const root = await until('MariaDB lets root in', () =>
        createConnection({ socketPath, user: 'root' }),
      )
      const user = `'${USER}'@'127.0.0.1'`
      await root.query(`CREATE USER ${user} IDENTIFIED BY ?`, [PASSWORD])
      await root.query(`GRANT ALL PRIVILEGES ON *.* TO ${user}`)
      await root.end()
    },
  })

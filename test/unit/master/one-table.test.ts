/** A statement about one table costs what that table costs, however many others there are: it may not even look at them. */

import t from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import { CatalogState, EMPTY, FileList, type Table } from '../../../lib/catalog/index.ts'
import { PathRules } from '../../../lib/master/queries/statements/paths.ts'
import { plan } from '../../../lib/master/queries/statements/plan.ts'
import { parseStatement } from '../../../lib/sql/index.ts'
import { HandClock } from '../../support/hand-clock.ts'

const table: Table = {
  id: 1,
  database: 'default',
  name: 't',
  kind: 'managed',
  format: 'TEXT',
  options: {},
  columns: [
    { name: 'a', type: 'TEXT' },
    { name: 'c', type: 'TEXT' },
  ],
  partitionColumns: [{ name: 'p', type: 'TEXT' }],
  location: '/warehouse/default/t',
  wholeDirectory: false,
  files: FileList.of([{ path: 'x', rows: 1, bytes: 1, partition: ['1'] }]),
  schemaVersion: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
}

/** A state of which nobody can have a list of tables. */
class Unlisted extends CatalogState {
  override tablesOf(): never {
    throw new Error('all tables of a database are looked at')
  }
  override tableNames(): never {
    throw new Error('all names of a database are looked at')
  }
  override allTables(): never {
    throw new Error('all tables are looked at')
  }
  override findTable(): never {
    throw new Error('a table is looked for among all')
  }
  override toData(): never {
    throw new Error('the whole catalog is copied')
  }
}

const compaction = {
  enabled: true,
  minInputFiles: 2,
  minFileBytes: 10,
  targetFileBytes: 100,
  maxConcurrent: 1,
  checkMs: 1000,
  retentionMs: 1000,
}

const STATEMENTS = [
  'select a from t',
  'explain select a from t',
  "insert into t select 'x', 'y', '2'",
  "insert overwrite into t select 'x', 'y', '2'",
  'create table other (a text)',
  'create table if not exists t (a text)',
  "create table made as select 'x' as a",
  'create table like_t like t',
  'create database sales',
  'alter table t add column b int4',
  'alter table t rename to u',
  'alter table t rename column a to b',
  "alter table t set property 'text.null' = ''",
  "alter table t drop partition (p = '1')",
  'truncate table t',
  'drop table t',
  'drop table if exists nothing',
  'optimize table t',
]

t.test('a statement about one table looks at no other', async (t) => {
  const { maps, nextTableId } = CatalogState.from({ ...EMPTY, tables: [table], nextTableId: 2 })
  const state = new Unlisted(maps, nextTableId)
  const paths = new PathRules({
    warehouse: '/warehouse',
    allowed: [],
    systemDirectory: '/root/system',
    clock: new HandClock(),
  })
  for (const sql of STATEMENTS) {
    const request = {
      queryId: '00000000-0000-4000-8000-000000000001',
      attempt: 1,
      sql,
      session: { database: 'default', user: '', variables: {} },
    }
    const principal = administrator('me')
    const context = { request, term: 1, submittedMs: 0, paths, compaction, principal }
    const planned = await plan(parseStatement(sql), state, context)
    if (planned.is === 'change') planned.build(state)
    t.pass(sql)
  }
})

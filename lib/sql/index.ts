/** The only door: what a statement says, how types are called, where statements end. */

export { quoteName, quoteText } from './names.ts'
export { parseStatement } from './parse.ts'
export { prepareParser } from './parser.ts'
export { placeAt, placeWithin, withPlace } from './place.ts'
export { type EngineText, engineText, firstParameter } from './query-text.ts'
export { withoutPasswords } from './secrets.ts'
export { splitStatements } from './split.ts'
export type { Location, Named } from './statement.ts'
export {
  type AlterAction,
  type Granted,
  type InsertTarget,
  type PartitionValue,
  type Place,
  SqlError,
  type SqlText,
  type Statement,
  type Storage,
  type TableName,
} from './statement.ts'
export { requireOptions } from './table-options.ts'
export { type TextFormat, textFormat } from './text-format.ts'
export { SQL_WORDS } from './tokens.ts'
export { fromDuckDb, parseType, toDuckDb } from './types.ts'

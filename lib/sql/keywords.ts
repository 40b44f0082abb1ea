/** The words a shell may offer while somebody types SQL, upper case, sorted. */
import { RESERVED } from './reserved.ts'
import { TYPE_NAMES } from './tajo-types.ts'
import { KEYWORD_LIST } from './tokens.ts'

export const SQL_WORDS: readonly string[] = [
  ...new Set([...KEYWORD_LIST, ...RESERVED, ...TYPE_NAMES]),
].sort()

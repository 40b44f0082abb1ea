/**
 * These are the kinds of tokens. A word is a keyword only where the grammar asks for it: all but the words that DuckDB
 * reserves are names as well (`Name`), so that columns may be called `date`, `value`, `location` or `format`. `DEFAULT`
 * is a name too, though DuckDB reserves it, because Tajo's first database is called so (`query-text.ts` quotes it for
 * DuckDB).
 */
import { createToken, Lexer, type TokenType } from './chevrotain.ts'
import { RESERVED } from './names.ts'
import { TYPE_NAMES } from './tajo-types.ts'

/** What may stand inside a query: anything. */
export const AnyToken = createToken({ name: 'AnyToken', pattern: Lexer.NA, label: 'anything' })
/** What may name a table or a column. */
export const Name = createToken({
  name: 'Name',
  pattern: Lexer.NA,
  label: 'a name',
  categories: AnyToken,
})
/** A text literal, in any of its spellings. */
export const Text = createToken({
  name: 'Text',
  pattern: Lexer.NA,
  label: 'a text in single quotes',
  categories: AnyToken,
})

const plain = (name: string, label: string, categories: TokenType): TokenType =>
  createToken({ name, label, categories, pattern: Lexer.NA })

export const PlainName = plain('PlainName', 'a name', Name)
export const QuotedName = plain('QuotedName', 'a name', Name)
export const ReservedWord = plain('ReservedWord', 'a reserved word', AnyToken)
export const PlainText = plain('PlainText', 'a text', Text)
export const EscapedText = plain('EscapedText', 'a text', Text)
export const DollarText = plain('DollarText', 'a text', Text)
export const NumberToken = plain('NumberToken', 'a number', AnyToken)
export const Parameter = plain('Parameter', 'a parameter', AnyToken)
const OtherSymbol = plain('OtherSymbol', 'a symbol', AnyToken)

const SYMBOLS = new Map<string, TokenType>()
const symbol = (name: string, image: string): TokenType => {
  const type = plain(name, image, AnyToken)
  SYMBOLS.set(image, type)
  return type
}
export const LeftParen = symbol('LeftParen', '(')
export const RightParen = symbol('RightParen', ')')
export const LeftBracket = symbol('LeftBracket', '[')
export const RightBracket = symbol('RightBracket', ']')
export const Less = symbol('Less', '<')
export const Greater = symbol('Greater', '>')
export const Comma = symbol('Comma', ',')
export const Dot = symbol('Dot', '.')
export const Equal = symbol('Equal', '=')
export const Minus = symbol('Minus', '-')
export const Plus = symbol('Plus', '+')
export const Semicolon = symbol('Semicolon', ';')

const KEYWORDS = new Map<string, TokenType>()
const keyword = (word: string): TokenType => {
  const type = plain(word, word, RESERVED.has(word) && word !== 'DEFAULT' ? AnyToken : Name)
  KEYWORDS.set(word, type)
  return type
}
/** A setting may have it as its value: `SET x ON`. */
const settingWord = (word: string): TokenType => {
  const type = plain(word, word, ReservedWord)
  KEYWORDS.set(word, type)
  return type
}
export const Add = keyword('ADD')
export const Alter = keyword('ALTER')
export const Analyze = keyword('ANALYZE')
export const All = keyword('ALL')
export const ArrayWord = keyword('ARRAY')
export const As = keyword('AS')
export const By = keyword('BY')
export const Catalog = keyword('CATALOG')
export const Column = keyword('COLUMN')
export const Create = keyword('CREATE')
export const Database = keyword('DATABASE')
export const Databases = keyword('DATABASES')
export const DateWord = keyword('DATE')
export const Default = keyword('DEFAULT')
export const Desc = keyword('DESC')
export const Describe = keyword('DESCRIBE')
export const Drop = keyword('DROP')
export const Exists = keyword('EXISTS')
export const Explain = keyword('EXPLAIN')
export const External = keyword('EXTERNAL')
export const False = keyword('FALSE')
export const For = settingWord('FOR')
export const From = keyword('FROM')
export const Functions = keyword('FUNCTIONS')
export const Global = keyword('GLOBAL')
export const Grant = keyword('GRANT')
export const Grants = keyword('GRANTS')
export const If = keyword('IF')
export const In = keyword('IN')
export const Insert = keyword('INSERT')
export const Into = keyword('INTO')
export const Like = keyword('LIKE')
export const Location = keyword('LOCATION')
export const MapWord = keyword('MAP')
export const Not = keyword('NOT')
export const Null = keyword('NULL')
export const On = settingWord('ON')
export const Optimize = keyword('OPTIMIZE')
export const Overwrite = keyword('OVERWRITE')
export const Partition = keyword('PARTITION')
export const Password = keyword('PASSWORD')
const Pivot = keyword('PIVOT')
export const Privileges = keyword('PRIVILEGES')
export const Property = keyword('PROPERTY')
export const Purge = keyword('PURGE')
export const RecordWord = keyword('RECORD')
export const Rename = keyword('RENAME')
export const Reset = keyword('RESET')
export const Revoke = keyword('REVOKE')
export const Select = keyword('SELECT')
export const Session = keyword('SESSION')
export const SetWord = keyword('SET')
export const Show = keyword('SHOW')
export const Struct = keyword('STRUCT')
const Summarize = keyword('SUMMARIZE')
export const Table = keyword('TABLE')
export const Tables = keyword('TABLES')
export const Time = keyword('TIME')
export const Timestamp = keyword('TIMESTAMP')
export const To = keyword('TO')
export const True = keyword('TRUE')
export const Truncate = keyword('TRUNCATE')
export const Union = keyword('UNION')
const Unpivot = keyword('UNPIVOT')
export const Unset = keyword('UNSET')
export const User = keyword('USER')
export const Users = keyword('USERS')
export const Using = keyword('USING')
const Values = keyword('VALUES')
export const Variables = keyword('VARIABLES')
export const With = keyword('WITH')
export const Zone = keyword('ZONE')

/** What a query begins with, besides a parenthesis. */
export const QUERY_WORDS: readonly TokenType[] = [
  Select,
  With,
  From,
  Values,
  Table,
  Pivot,
  Unpivot,
  Summarize,
]

/** Which kind a word is that stands in no quotes. */
export function wordType(word: string): TokenType {
  const upper = word.toUpperCase()
  return KEYWORDS.get(upper) ?? (RESERVED.has(upper) ? ReservedWord : PlainName)
}

/** Which kind a single character is that begins nothing longer. */
export function symbolType(image: string): TokenType {
  return SYMBOLS.get(image) ?? OtherSymbol
}

/** All that the grammar may be made of. */
export const VOCABULARY: readonly TokenType[] = [
  AnyToken,
  Name,
  Text,
  PlainName,
  QuotedName,
  ReservedWord,
  PlainText,
  EscapedText,
  DollarText,
  NumberToken,
  Parameter,
  OtherSymbol,
  ...SYMBOLS.values(),
  ...KEYWORDS.values(),
]

/** The words a shell may offer while somebody types SQL, upper case, sorted. */
export const SQL_WORDS: readonly string[] = [
  ...new Set([...KEYWORDS.keys(), ...RESERVED, ...TYPE_NAMES]),
].sort()

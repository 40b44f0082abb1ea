/**
 * The parser library, by its bundle: the package's door loads six hundred small files, which takes half a second where
 * the bundle beside them takes a fiftieth. The package names no other door, so the bundle is found from the door's own
 * address; where it is missing the door is used.
 */
type Vendor = typeof import('chevrotain')

async function load(): Promise<Vendor> {
  const bundle = new URL('../chevrotain.min.mjs', import.meta.resolve('chevrotain')).href
  try {
    return (await import(bundle)) as Vendor
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND')) {
      throw error
    }
    return await import('chevrotain')
  }
}

export const { createToken, EmbeddedActionsParser, EOF, Lexer, tokenMatcher } = await load()
export type {
  CustomPatternMatcherFunc,
  IRecognitionException,
  IToken,
  TokenType,
} from 'chevrotain'

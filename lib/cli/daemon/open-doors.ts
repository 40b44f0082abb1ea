/** What a start warns of where nobody has to prove who he is. */
import type { Configuration } from '../../conf/index.ts'

const NO_AUTHENTICATION =
  'tajo.security.authentication is none: whoever reaches the client port reads, changes and drops every table'

/** None where clients prove who they are. */
export const openDoors = (conf: Pick<Configuration, 'get'>): string[] =>
  conf.get('tajo.security.authentication') === 'none' ? [NO_AUTHENTICATION] : []

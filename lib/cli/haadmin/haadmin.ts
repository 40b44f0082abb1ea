/** `tajo haadmin`: one verb a call; each has its own file. */
import type { Run } from '../command.ts'
import { haadminCall } from './call.ts'

export const run: Run = async (context) => {
  const call = haadminCall(context.options)
  switch (call.verb) {
    case 'getState':
      return (await import('./state.ts')).getState(context, call.address)
    case 'transitionToActive':
      return (await import('./transition.ts')).transitionToActive(context, call)
    case 'transitionToBackup':
      return (await import('./transition.ts')).transitionToBackup(context, call)
    case 'status':
      return (await import('./status.ts')).status(context)
    case 'token':
      return (await import('./token.ts')).token(context)
    case 'history':
      return (await import('./status.ts')).history(context, call.limit)
    case 'formatHA':
      return (await import('./format.ts')).formatHA(context, call.yes)
    case 'checkSharedDir':
      return (await import('./check.ts')).checkSharedDir(context, call.peer)
  }
}

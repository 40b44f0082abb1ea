/** `tajo haadmin`: one verb a call; each has its own file. */
import type { Run } from '../command.ts'
import { haadminCall } from '../haadmin-call.ts'

export const run: Run = async (context) => {
  const call = haadminCall(context.options)
  switch (call.verb) {
    case 'getState':
      return (await import('./haadmin-state.ts')).getState(context, call.address)
    case 'transitionToActive':
      return (await import('./haadmin-transition.ts')).transitionToActive(context, call)
    case 'transitionToBackup':
      return (await import('./haadmin-transition.ts')).transitionToBackup(context, call)
    case 'status':
      return (await import('./haadmin-status.ts')).status(context)
    case 'token':
      return (await import('./haadmin-token.ts')).token(context)
    case 'history':
      return (await import('./haadmin-status.ts')).history(context, call.limit)
    case 'formatHA':
      return (await import('./haadmin-format.ts')).formatHA(context, call.yes)
    case 'checkSharedDir':
      return (await import('./haadmin-check.ts')).checkSharedDir(context, call.peer)
  }
}

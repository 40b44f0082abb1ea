/** What a worker's client port answers: a result, once, to whose the query is, and which worker this is. */
import { mayTouch } from '../access/index.ts'
import type { QueryError, WorkerInfo } from '../contract/index.ts'
import type { Handlers } from '../serve/index.ts'
import type { TaskList } from './task-list.ts'

interface ResultServiceOptions {
  readonly worker: WorkerInfo
  readonly tasks: TaskList
  readonly epoch: () => number
  /** Somebody reads a result. */
  readonly onFetch: () => void
}

export function resultHandlers({
  worker,
  tasks,
  epoch,
  onFetch,
}: ResultServiceOptions): Handlers<'results'> {
  return {
    fetch: ({ queryId, attempt }, writer, { caller }) => {
      const found = tasks.find(queryId, attempt)
      // Whether there is one is nobody else's business.
      const isHis = caller === null || mayTouch(caller.principal, found?.task.asUser)
      const query = isHis ? found : null
      if (query?.fetch(writer) === true) {
        onFetch()
        return
      }
      writer.send({ error: query === null ? UNKNOWN : NO_RESULT })
      writer.end()
    },
    status: () => {
      const { workerId, incarnation, network } = worker
      return { workerId, epoch: epoch(), incarnation, network }
    },
  }
}

const UNKNOWN: QueryError = {
  kind: 'lost',
  message: 'this worker has no such query (any more)',
  place: null,
}
const NO_RESULT: QueryError = {
  kind: 'refused',
  message: 'this result was read already, or the query has none: a result can be read once',
  place: null,
}

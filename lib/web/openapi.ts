/**
 * The description of the HTTP API, OpenAPI 3.1, from the same schemas that the types come from. Made when it is first
 * asked for. `ROUTES` lists what there is; a test asks for all of it.
 */
import { z } from 'zod'
import * as schemas from './schemas.ts'
import { OPEN } from './visitors.ts'

interface Route {
  readonly method: 'get' | 'post'
  readonly path: string
  readonly summary: string
  readonly answer: { readonly type: string; readonly schema: z.ZodType | null }
  readonly request?: z.ZodType
  readonly query?: Readonly<Record<string, string>>
  /** Statuses besides 200, with a sentence each. */
  readonly refusals?: Readonly<Record<number, string>>
}

const json = (schema: z.ZodType): Route['answer'] => ({ type: 'application/json', schema })
const text: Route['answer'] = { type: 'text/plain', schema: null }
const NO_ACTIVE = { 503: 'no active master answers' }
const FOREIGN = {
  400: 'not what the request should be',
  403: "not allowed: another site's page, a strange Host header, or the configuration",
  413: 'its body is too long',
}
const TOKEN = { ...FOREIGN, 401: 'the token is missing or wrong', 409: 'refused by the election' }
/** Of what is not open to everybody. */
const NOT_LOGGED_IN = {
  401: 'the token is missing, or counts no more (tajo.security.authentication)',
}
/** Every path takes it; load balancers need it. */
const CLUSTER = { cluster: 'id of the cluster that is meant' }
const OTHER_CLUSTER = { 409: 'with `cluster`: this is a master of another one' }
const LIMITED = { 400: 'a parameter is wrong' }

export const ROUTES: readonly Route[] = [
  {
    method: 'get',
    path: '/health/active',
    summary: '200 while this master serves as the active one, else 503; the text is its state',
    answer: text,
    query: CLUSTER,
    refusals: { ...OTHER_CLUSTER, 503: 'it does not' },
  },
  {
    method: 'get',
    path: '/health/backup',
    summary: '200 while this master is a backup, else 503',
    answer: text,
    query: CLUSTER,
    refusals: { ...OTHER_CLUSTER, 503: 'it is none' },
  },
  {
    method: 'get',
    path: '/health/live',
    summary: '200 while this process answers',
    answer: text,
    query: CLUSTER,
    refusals: OTHER_CLUSTER,
  },
  {
    method: 'get',
    path: '/metrics',
    summary: "Prometheus' text format",
    answer: text,
  },
  {
    method: 'get',
    path: '/api/v1/cluster',
    summary: 'Who is active, who stands by, whether a failover would work now',
    answer: json(schemas.cluster),
    refusals: { 503: 'not joined yet' },
  },
  {
    method: 'get',
    path: '/api/v1/history',
    summary: 'Terms, newest first, with the phases of each take-over',
    answer: json(schemas.history),
    query: { limit: '1 to 1000, default 50' },
    refusals: { ...LIMITED, 503: 'the directory can not be read', 504: 'nor in time' },
  },
  {
    method: 'get',
    path: '/api/v1/lease',
    summary: 'Renewals of the last quarter of an hour, by the second, of each master',
    answer: json(schemas.lease),
  },
  {
    method: 'get',
    path: '/api/v1/workers',
    summary: 'Workers, as the active master knows them',
    answer: json(schemas.workers),
  },
  {
    method: 'get',
    path: '/api/v1/queries',
    summary: 'Queries of all terms, newest first',
    answer: json(schemas.queries),
    query: {
      limit: '1 to 1000, default 50',
      offset: 'to leave out so many, default 0',
      state: 'one or more of queued,running,succeeded,failed,killed',
      search: 'a text in statement, user, database, id or worker',
    },
    refusals: LIMITED,
  },
  {
    method: 'get',
    path: '/api/v1/queries/{queryId}',
    summary: 'One query',
    answer: json(schemas.query),
    refusals: { 404: 'nobody knows it' },
  },
  {
    method: 'post',
    path: '/api/v1/queries/{queryId}/kill',
    summary: 'Ends a query',
    request: schemas.done,
    answer: json(schemas.killed),
    refusals: { ...FOREIGN, ...NO_ACTIVE },
  },
  {
    method: 'get',
    path: '/api/v1/catalog',
    summary: 'Databases',
    answer: json(schemas.databases),
    refusals: NO_ACTIVE,
  },
  {
    method: 'get',
    path: '/api/v1/catalog/{database}',
    summary: 'Tables of a database, with columns and sizes',
    answer: json(schemas.tables),
    query: {
      limit: '1 to 1000, default 1000',
      offset: 'to leave out so many, default 0',
      search: 'a text in their names',
      table: 'the name of the only one that is wanted',
    },
    refusals: { 400: 'there is no such database', ...NO_ACTIVE },
  },
  {
    method: 'get',
    path: '/api/v1/config',
    summary: 'The configuration in force, and where each value comes from; no secrets',
    answer: json(schemas.config),
  },
  {
    method: 'get',
    path: '/api/v1/events',
    summary: 'Server-sent events: cluster, history, lease, queries, workers, bye',
    answer: { type: 'text/event-stream', schema: null },
    refusals: { 503: 'too many pages are open here' },
  },
  {
    method: 'get',
    path: '/api/v1/openapi.json',
    summary: 'This description',
    answer: { type: 'application/json', schema: null },
  },
  {
    method: 'post',
    path: '/api/v1/sql',
    summary: 'Runs one statement; a JSON document a line, `end` or `error` is the last',
    request: schemas.sqlRequest,
    answer: { type: 'application/x-ndjson', schema: schemas.sqlLine },
    refusals: { ...FOREIGN, 503: 'too many statements run here' },
  },
  {
    method: 'post',
    path: '/api/v1/admin/hand-over',
    summary: 'The active master hands over, to `successor` or to the best backup',
    request: schemas.handOverRequest,
    answer: json(schemas.done),
    refusals: TOKEN,
  },
  {
    method: 'post',
    path: '/api/v1/admin/take-over',
    summary: 'A backup takes over when no master is active',
    request: schemas.done,
    answer: json(schemas.done),
    refusals: TOKEN,
  },
]

/** As JSON schema, of what is sent: fields that are not named there are not there. */
const jsonSchemaOf = (schema: z.ZodType, io: 'input' | 'output' = 'output'): object => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}

let made: string | null = null

export function openApi(version: string): string {
  made ??= JSON.stringify(describe(version))
  return made
}

function describe(version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const route of ROUTES) {
    const path = paths[route.path] ?? {}
    paths[route.path] = path
    path[route.method] = operation(route)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Tajo master',
      version,
      description:
        'Every master answers, the active one and the backups. The state of the cluster is open to everybody; what names statements, tables or the configuration asks for a token. POST requests must be JSON, from programs or from the page itself. Every path takes the parameter `cluster`: a master of another cluster than that answers 409, with its own id.',
    },
    paths,
    components: {
      schemas: {
        Failure: jsonSchemaOf(schemas.failure),
        ...Object.fromEntries(
          Object.entries(schemas.events).map(([name, schema]) => [
            `Event.${name}`,
            jsonSchemaOf(schema),
          ]),
        ),
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
  }
}

function operation(route: Route): object {
  const { summary, answer, request, query = {}, refusals = {}, path } = route
  const schema = answer.schema === null ? {} : jsonSchemaOf(answer.schema)
  const responses: Record<string, object> = {
    200: { description: 'done', content: { [answer.type]: { schema } } },
  }
  const failure = { schema: { $ref: '#/components/schemas/Failure' } }
  const isOpen = OPEN.has(path.replaceAll(/\{(\w+)\}/g, ':$1'))
  const all = isOpen ? refusals : { ...NOT_LOGGED_IN, ...refusals }
  for (const [status, description] of Object.entries(all)) {
    const isText = path.startsWith('/health/')
    responses[status] = {
      description,
      content: isText ? { 'text/plain': {} } : { 'application/json': failure },
    }
  }
  const body = request && {
    required: true,
    content: { 'application/json': { schema: jsonSchemaOf(request, 'input') } },
  }
  return {
    summary,
    parameters: [
      ...[...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
        ...{ name, in: 'path', required: true, schema: { type: 'string' } },
      })),
      ...Object.entries(query).map(([name, description]) => ({
        ...{ name, in: 'query', description, schema: { type: 'string' } },
      })),
    ],
    ...(body === undefined ? {} : { requestBody: body }),
    ...(path.includes('/admin/') || !isOpen ? { security: [{ token: [] }] } : {}),
    responses,
  }
}

/** The only door of the serving side: what a daemon opens ports with. It loads fastify and the contract. */
export {
  type Authentication,
  type Certificate,
  type Gate,
  Guard,
  type Membership,
  type Pass,
  type Refused,
} from './guard.ts'
export type { Keyed } from './keyed-port.ts'
export { type Bind, openAll } from './listeners.ts'
export {
  type CallFacts,
  type Handlers,
  limitedServer,
  rpcServer,
  type ServerOptions,
} from './server.ts'

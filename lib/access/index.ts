/** The only door of who somebody is to the cluster, and how he proves it. It loads nothing but Node's own cryptography. */
export { LogIn, type Refusal } from './log-in.ts'
export { administrator, mayTouch, type Principal } from './principal.ts'
export { clientExchange, readVerifier, ScramError, verifierFor } from './scram.ts'
export { Seals } from './seal.ts'
export {
  ADMINISTRATOR_TOKEN_MS,
  type Caller,
  makeToken,
  markOf,
  readToken,
} from './token.ts'

/** This is the only door of the calling side. It loads undici, so daemons load it once their ports are open. */
export { RpcClient } from './client.ts'

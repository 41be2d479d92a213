export { engineError, isDiskFull, reasonOf } from '@understudy/engine/host';

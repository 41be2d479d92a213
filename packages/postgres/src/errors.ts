export { engineError, isDiskFull } from '@understudy/engine/host';

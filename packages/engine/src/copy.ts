import type { Readable } from 'node:stream';
import type { Member, MemberId } from '@understudy/core';

/** Who asks for a physical copy of a server, and what its own server is: files of another series are of no use to it. */
export interface CopyRequest {
  readonly member: MemberId;
  /** The engine's name, as `Engine.name`. */
  readonly engine: string;
  /** `11.8.6` */
  readonly version: string;
}

/**
 * Opens the stream of a physical copy of another member's server; what is in it is known to the engines alone. The stream ends only when
 * the source has said that the copy is whole; otherwise it fails with an `EngineError`, as the opening does:
 * `ENGINE_COPY_UNAVAILABLE` when another way has to be taken, `ENGINE_BUSY` while the source sends one to somebody else.
 */
export type OpenCopy = (from: Member, request: CopyRequest, signal: AbortSignal) => Promise<Readable>;

import type { Request, Response } from 'express';

/** A request under way. */
export interface Exchange {
  readonly request: Request;
  readonly response: Response;
  /** Aborts when the client has gone. */
  readonly signal: AbortSignal;
  /** URL of the root of this server for its clients, without a slash at its end. */
  readonly base: string;
}

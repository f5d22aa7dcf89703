import type {
  AlgoItem,
  Commands,
  CommandType,
  ErrorCategory,
  ErrorCode,
  Failure,
  FieldError,
  PmsEvent,
  PriceCache,
  Results,
  RiskSnapshot,
} from "./types.js";

export type * from "./types.js";

/** A client of `ioredis`, or of `redis` (node-redis). */
export interface RedisClient {
  duplicate(...options: any[]): any;
}

export interface ConnectOptions {
  /** First part of every name in Redis (`PMS_NAMESPACE`). Default "pms". */
  namespace?: string;
  /** That of the prices (`PMS_FEED_NAMESPACE`). Default: the same. */
  feedNamespace?: string;
  /** Asked at each `send` for the W3C trace context of the moment; the body's own `traceparent` comes first. */
  traceparent?: () => string | undefined;
}

/** Opens what is needed beside `client`, which stays yours to close. */
export function connect(client: RedisClient, options?: ConnectOptions): Promise<Pms>;

export interface Pms {
  /**
   * Sends a command and resolves with its result. Without `requestId` it gets a new one.
   * Rejects with a PmsError: with the refusal, or, after `timeoutMs` (default 15,000), with `INFRA_TIMEOUT`.
   */
  send<T extends CommandType>(type: T, body: Commands[T], options?: { timeoutMs?: number }): Promise<Results[T]>;

  /**
   * Every event after `after`, the `eventId` of the last one that you have handled; without it, from now on.
   * Goes on by itself after a lost connection; throws MissedEvents where events are gone.
   */
  events(options?: { after?: string; signal?: AbortSignal }): AsyncGenerator<PmsEvent, void, void>;

  /** The id of the newest event. */
  position(): Promise<string>;

  /** A cold start: all accounts as they are, and where to follow the events from. */
  snapshot(): Promise<{ after: string; accounts: RiskSnapshot[] }>;

  /** `pms:price:{symbol}`; null where the symbol is not in use. */
  price(symbol: string): Promise<PriceCache | null>;

  /** `pms:risk:{subAccountId}`; null where there is none, or the service that writes it is down. */
  account(subAccountId: string): Promise<RiskSnapshot | null>;

  /** The account's running algos by id. */
  algos(subAccountId: string): Promise<Record<string, AlgoItem>>;

  /** Ends what `connect` has opened, and all `events`. */
  close(): Promise<void>;
}

/** A command was refused, or has failed. `result` is the whole answer, for a browser. */
export class PmsError extends Error {
  requestId: string;
  errorCode: ErrorCode;
  errorCategory: ErrorCategory;
  /** Whether the same command under a new `requestId` may succeed without anybody changing anything. */
  retryable: boolean;
  errors: FieldError[];
  details?: Record<string, unknown>;
  result: Failure;
}

/** Events were missed, or Redis was lost or restored: start cold, with `snapshot()`. */
export class MissedEvents extends Error {
  /** The last event that was read. */
  after: string;
}

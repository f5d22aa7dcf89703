// Written by `make docs` from the code; do not edit.

/** A market order. With `maxSlippagePct` it is sent as IOC at that distance from the touch at most. */
export interface TradeCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  quantity: number | string;
  leverage: number;
  /** Default false. */
  reduceOnly?: boolean | null;
  maxSlippagePct?: number | null;
}

/** A limit order. `postOnly` is the same as time in force GTX; GTD needs `goodTillDate`. */
export interface LimitCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  quantity: number | string;
  price: number | string;
  leverage: number;
  /** Default false. */
  reduceOnly?: boolean | null;
  /** Default "GTC". */
  timeInForce?: "GTC" | "IOC" | "FOK" | "GTX" | "GTD" | null;
  /** Default false. */
  postOnly?: boolean | null;
  /** UTC epoch milliseconds */
  goodTillDate?: number | null;
}

/** 2 to 30 limit orders on one side, at prices of their own. */
export interface ScaleCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  leverage: number;
  /** Also as levels. */
  orders: Array<ScaleLevel>;
}

/** Market orders checked as one: all legs or none are sent. */
export interface BasketCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  /** Also as items. */
  legs: Array<BasketLeg>;
  /** Default "Unnamed Basket". */
  basketName?: string | null;
}

/** Close a position at market: all of it, a quantity, or a fraction (0.3 is 30 %). */
export interface CloseCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  positionId: string;
  quantity?: number | string | null;
  fraction?: number | null;
}

/** Stop the account's algos, cancel its orders and close its positions (on one symbol). */
export interface CloseAllCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol?: string | null;
}

/** Close a whole position with a resting order at a price. */
export interface LimitCloseCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  positionId: string;
  price: number | string;
}

/** Everything a `trade` is checked for; nothing is sent. */
export interface ValidateCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  quantity: number | string;
  leverage: number;
  /** Default false. */
  reduceOnly?: boolean | null;
  maxSlippagePct?: number | null;
}

/** Change price, quantity (the order's total, not the rest) or both of a resting order. */
export interface AmendCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  /** Also as orderId. */
  clientOrderId: string;
  price?: number | string | null;
  quantity?: number | string | null;
}

/** Cancel one order; the answer tells its final state. */
export interface CancelCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  /** Also as orderId. */
  clientOrderId: string;
}

/** Cancel all orders of one account (on one symbol); algos' orders only with `includeAlgos`, which ends the algos too. */
export interface CancelAllCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol?: string | null;
  /** Default false. */
  includeAlgos?: boolean | null;
}

/**
 * Start a chase.
 *
 * `stalkOffsetPct` (or, instead, `stalkOffsetTicks`) is the distance kept behind the own quote; `stalkMode`: none and maintain follow in both directions, trail only towards the market; `maxDistancePct` ends it when the own quote has moved that far from the first one (0: never); `minIntervalMs` is the least time between two reprices; `replacesId` names the chase this one replaces.
 */
export interface ChaseCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  quantity: number | string;
  leverage: number;
  /** Also as stalkOffset. Default 0. */
  stalkOffsetPct?: number | null;
  stalkOffsetTicks?: number | null;
  /** Default "none". */
  stalkMode?: "none" | "maintain" | "trail" | null;
  /** Also as maxDistance. Default 0. */
  maxDistancePct?: number | null;
  /** Default 100. */
  minIntervalMs?: number | null;
  /** Default false. */
  reduceOnly?: boolean | null;
  /** Default false. */
  postOnly?: boolean | null;
  replacesId?: string | null;
}

/** End a chase and cancel its order. */
export interface ChaseCancelCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  chaseId: string;
}

/** Cancel a chase's order and wait. */
export interface ChasePauseCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  chaseId: string;
}

/** Go on with a paused chase, for its remainder. */
export interface ChaseResumeCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  chaseId: string;
}

/**
 * Start a scalper.
 *
 * `baseOffsetPct` stands for both legs' offsets and is resolved into them; sizes are USDT notional a leg, or `quantity` in base coin for each. Switched off by 0: `minFillSpreadPct`, `minRefillDelayMs`, `maxLossPerCloseBps`, `maxFillsPerMinute`. The bounds `longMaxPrice`, `shortMinPrice` and the pins keep a leg from buying above or selling below.
 */
export interface ScalperCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol: string;
  /** Also as side. */
  startSide: "LONG" | "SHORT" | "BUY" | "SELL";
  leverage: number;
  /** Also as layers. Default 1. */
  childCount?: number | null;
  baseOffsetPct?: number | null;
  /** Default 0. */
  longOffsetPct?: number | null;
  /** Default 0. */
  shortOffsetPct?: number | null;
  /** Default 0. */
  longSizeUsd?: number | string | null;
  /** Default 0. */
  shortSizeUsd?: number | string | null;
  quantity?: number | string | null;
  /** Default 0. */
  skew?: number | null;
  /** Default false. */
  neutralMode?: boolean | null;
  longMaxPrice?: number | string | null;
  shortMinPrice?: number | string | null;
  /** Default false. */
  pinLongToEntry?: boolean | null;
  /** Default false. */
  pinShortToEntry?: boolean | null;
  /** Default 0. */
  minFillSpreadPct?: number | null;
  /** Default 30000. */
  fillDecayHalfLifeMs?: number | null;
  /** Default 0. */
  minRefillDelayMs?: number | null;
  /** Default true. */
  allowLoss?: boolean | null;
  /** Default 0. */
  maxLossPerCloseBps?: number | null;
  /** Default 0. */
  maxFillsPerMinute?: number | null;
  /** Default "off". */
  pnlFeedbackMode?: "off" | "soft" | "full" | null;
  replacesId?: string | null;
}

/** End a scalper and cancel its children; `closePositions` also closes what it opened. */
export interface ScalperCancelCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  scalperId: string;
  /** Default false. */
  closePositions?: boolean | null;
}

/** Cancel a scalper's children and wait. */
export interface ScalperPauseCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  scalperId: string;
}

/** Go on with a paused scalper. */
export interface ScalperResumeCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  scalperId: string;
}

/**
 * Spread an order evenly over time: `totalSize` in USDT notional, or `quantity` in base coin.
 *
 * `jitter` varies the intervals, `irregular` the lots; a lot waits while the price is beyond `priceLimit`.
 */
export interface TwapCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  totalSize?: number | string | null;
  quantity?: number | string | null;
  lots: number;
  /** Also as duration. */
  durationMinutes: number;
  leverage: number;
  /** Default false. */
  jitter?: boolean | null;
  /** Default false. */
  irregular?: boolean | null;
  priceLimit?: number | string | null;
  replacesId?: string | null;
}

/** End a TWAP and cancel its resting lot. */
export interface TwapCancelCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  twapId: string;
}

/** Cancel a TWAP's resting lot and wait. */
export interface TwapPauseCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  twapId: string;
}

/** Go on with a paused TWAP. */
export interface TwapResumeCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  twapId: string;
}

/** Several TWAPs with one schedule. */
export interface TwapBasketCommand {
  requestId?: string;
  subAccountId: string;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  legs: Array<TwapBasketLeg>;
  lots: number;
  /** Also as duration. */
  durationMinutes: number;
  /** Default "Unnamed Index". */
  basketName?: string | null;
  /** Default false. */
  jitter?: boolean | null;
  /** Default false. */
  irregular?: boolean | null;
  replacesId?: string | null;
}

/** End a basket TWAP and cancel its resting lots. */
export interface TwapBasketCancelCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  twapBasketId: string;
}

/** Cancel a basket TWAP's resting lots and wait. */
export interface TwapBasketPauseCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  twapBasketId: string;
}

/** Go on with a paused basket TWAP. */
export interface TwapBasketResumeCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  twapBasketId: string;
}

/**
 * Close a whole position when the price comes back `callbackPct` from its best since activation.
 *
 * Active at once without `activationPrice`, else from the moment the price reaches it.
 */
export interface TrailStopCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  positionId: string;
  callbackPct: number;
  activationPrice?: number | string | null;
  replacesId?: string | null;
}

/** Remove a trailing stop. */
export interface TrailStopCancelCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  trailStopId: string;
}

/** Keep a trailing stop without letting it fire. */
export interface TrailStopPauseCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  trailStopId: string;
}

/** Let a paused trailing stop go on from the present price. */
export interface TrailStopResumeCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  trailStopId: string;
}

/**
 * Everything operators do to an account; `action` decides which fields are needed and which are refused.
 *
 * `create` takes the id from `subAccountId`, or makes one; `deposit` and `withdraw` move `amount` between house and account; `set_rules` and `set_mode` change what is given and leave the rest; `allowedSymbols` of `["*"]` allows all again, a `maxDailyLoss` or `maxOrdersPerMinute` of 0 lifts that limit; `marginMode` concerns the positions that open from then on, `maintenanceMode` and the others all of them; `takeover` moves a position to the house, at the mark and after the account's closers of it have been cancelled.
 */
export interface AccountCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  action: "create" | "deposit" | "withdraw" | "freeze" | "unfreeze" | "set_rules" | "set_mode" | "takeover" | "assign";
  name?: string | null;
  balance?: number | string | null;
  amount?: number | string | null;
  /** Default false. */
  allowUnfunded?: boolean | null;
  maxLeverage?: number | null;
  maxNotionalPerTrade?: number | string | null;
  maxTotalExposure?: number | string | null;
  liquidationThreshold?: number | null;
  allowedSymbols?: Array<string> | null;
  maxOpenOrders?: number | null;
  maxDailyLoss?: number | string | null;
  maxOrdersPerMinute?: number | null;
  liquidationMode?: "ADL_30" | "INSTANT_CLOSE" | "TAKEOVER" | null;
  maintenanceMode?: "flat" | "brackets" | null;
  maintenanceRate?: number | null;
  marginMode?: "cross" | "isolated" | null;
  positionId?: string | null;
  symbol?: string | null;
  exchangeOrderId?: number | null;
}

/**
 * Set the trading state globally, of one account, of one symbol, or of one account on one symbol.
 *
 * Read by risk, orders and algos alike, so that it works with any of them down; risk answers. `cancel` also cancels what rests there.
 */
export interface TradingStateCommand {
  requestId?: string;
  subAccountId?: string | null;
  /** UTC epoch milliseconds */
  createdAt?: number | null;
  /** UTC epoch milliseconds */
  expiresAt?: number | null;
  waitFor?: "ack" | "final" | null;
  traceparent?: string | null;
  state: "active" | "reducing" | "halted";
  symbol?: string | null;
  /** Default false. */
  cancel?: boolean | null;
}

/** One resting order of a scale. */
export interface ScaleLevel {
  price: number | string;
  quantity: number | string;
}

/** One market order of a basket. */
export interface BasketLeg {
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  quantity: number | string;
  leverage: number;
}

/** One symbol of a basket TWAP; `sizeUsdt` is its whole notional. */
export interface TwapBasketLeg {
  symbol: string;
  side: "BUY" | "SELL" | "LONG" | "SHORT";
  sizeUsdt: number | string;
  leverage: number;
}

export type ErrorCode =
  | "VALIDATION_FAILED"
  | "VALIDATION_UNKNOWN_COMMAND"
  | "VALIDATION_NOT_JSON"
  | "VALIDATION_PAYLOAD_TOO_LARGE"
  | "VALIDATION_SUBACCOUNT_REQUIRED"
  | "VALIDATION_CLIENT_ORDER_ID_REQUIRED"
  | "VALIDATION_TWAP_MISSING_SIZE"
  | "VALIDATION_TWAP_INVALID_SIZE"
  | "VALIDATION_TWAP_LOTS_INVALID"
  | "VALIDATION_TWAP_INVALID_INTERVAL"
  | "VALIDATION_TWAP_PRICE_UNAVAILABLE"
  | "VALIDATION_TWAP_BASKET_LOTS_INVALID"
  | "SCALE_INVALID_ORDER"
  | "SCALE_INVALID_RANGE"
  | "SCALPER_LAYER_TOO_SMALL"
  | "SYMBOL_UNKNOWN"
  | "SYMBOL_NOT_TRADING"
  | "FILTER_PRICE"
  | "FILTER_QUANTITY"
  | "POSITION_NOT_FOUND"
  | "POSITION_CLOSED"
  | "POSITION_SIDE_MISMATCH"
  | "ORDER_NOT_FOUND"
  | "ORDER_ALREADY_FINAL"
  | "ALGO_NOT_FOUND"
  | "ALGO_ALREADY_EXISTS"
  | "REQUEST_ID_REUSED"
  | "EXPIRED_COMMAND"
  | "CANCELLED_BEFORE_SEND"
  | "OWNERSHIP_FORBIDDEN"
  | "AUTH_TOKEN_REQUIRED"
  | "AUTH_ROLE_FORBIDDEN"
  | "AUTH_RATE_LIMITED"
  | "ACCOUNT_NOT_FOUND"
  | "ACCOUNT_ALREADY_EXISTS"
  | "ACCOUNT_FROZEN"
  | "ACCOUNT_LIQUIDATING"
  | "NO_PRICE"
  | "MAX_LEVERAGE_EXCEEDED"
  | "MAX_NOTIONAL_EXCEEDED"
  | "MAX_EXPOSURE_EXCEEDED"
  | "MAX_OPEN_ORDERS_EXCEEDED"
  | "MAX_DAILY_LOSS_REACHED"
  | "MAX_ORDER_RATE_EXCEEDED"
  | "MAX_LEVERAGE"
  | "MAX_NOTIONAL"
  | "SYMBOL_NOT_ALLOWED"
  | "INSUFFICIENT_MARGIN"
  | "MARGIN_RATIO_EXCEEDED"
  | "INSUFFICIENT_BALANCE"
  | "HOUSE_UNFUNDED"
  | "REDUCE_ONLY_REJECTED"
  | "TRADING_HALTED"
  | "TRADING_REDUCING"
  | "SYMBOL_FROZEN"
  | "BASKET_RUNNING"
  | "ALGO_LIMIT_REACHED"
  | "APPROVAL_EXCEEDED"
  | "RISK_REJECTED"
  | "RISK_VALIDATION_ERROR"
  | "EXCHANGE_REJECTED"
  | "EXCHANGE_MIN_NOTIONAL"
  | "EXCHANGE_MARGIN_INSUFFICIENT"
  | "EXCHANGE_PRECISION"
  | "EXCHANGE_INVALID_ORDER"
  | "EXCHANGE_QTY_TOO_SMALL"
  | "EXCHANGE_QTY_TOO_LARGE"
  | "EXCHANGE_PRICE_RANGE"
  | "EXCHANGE_REDUCE_ONLY"
  | "EXCHANGE_POST_ONLY"
  | "EXCHANGE_FOK"
  | "EXCHANGE_MAX_ORDERS"
  | "EXCHANGE_MAX_POSITION"
  | "EXCHANGE_DUPLICATE_ID"
  | "EXCHANGE_UNKNOWN_ORDER"
  | "EXCHANGE_SYMBOL"
  | "EXCHANGE_RATE_LIMITED"
  | "EXCHANGE_CAPACITY"
  | "EXCHANGE_UNAVAILABLE"
  | "EXCHANGE_CLOCK"
  | "EXCHANGE_AUTH"
  | "NO_FILL_PRICE"
  | "DESYNC_CLOSE_FAILED"
  | "EXECUTION_ERROR"
  | "AMBIGUOUS_RESULT"
  | "AMBIGUOUS_CLOSE_REJECTED"
  | "INFRA_TIMEOUT"
  | "INFRA_OVERLOADED"
  | "INFRA_NOT_READY"
  | "INFRA_UNAVAILABLE"
  | "NOT_AVAILABLE"
  | "INFRA_REDIS_UNAVAILABLE"
  | "INFRA_PROXY_FAILURE"
  | "INFRA_CHASE_UNAVAILABLE"
  | "INFRA_SCALPER_UNAVAILABLE"
  | "INFRA_TWAP_UNAVAILABLE"
  | "INFRA_TRAIL_STOP_UNAVAILABLE"
  | "INFRA_INTERNAL";

export type ErrorCategory =
  | "VALIDATION"
  | "OWNERSHIP"
  | "RISK"
  | "EXCHANGE"
  | "AMBIGUITY"
  | "TIMEOUT"
  | "INFRA";

/** A refusal or failure; `error` is one readable sentence and always a string. */
export interface Failure {
  success: false;
  requestId: string;
  error: string;
  errorCode: ErrorCode;
  errorCategory: ErrorCategory;
  retryable: boolean;
  errors: Array<FieldError>;
  details?: Record<string, unknown>;
  warnings?: Array<string>;
  traceparent?: string;
}

/** One violation: the code, a readable sentence, and the field as the sender would write it (`legs[2].side`). */
export interface FieldError {
  code: ErrorCode;
  message: string;
  field?: string;
}

/**
 * Answer to `trade`, `limit`, `limit_close`, `amend` and `cancel`.
 *
 * A flip (a closing and an opening child) lists both in `orders`; the fields beside it are the opening one's.
 */
export interface OrderDone {
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  symbol: string;
  side: "BUY" | "SELL";
  quantity: number;
  price: number | null;
  filledQty?: number;
  avgFillPrice?: number;
  fee?: number;
  realizedPnl?: number;
  success: true;
  requestId: string;
  warnings?: Array<string>;
  flipped?: boolean;
  orders?: Array<OrderResult>;
}

/** An order in a result. From `filledQty` on: given when it was waited for its end. */
export interface OrderResult {
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  symbol: string;
  side: "BUY" | "SELL";
  quantity: number;
  price: number | null;
  filledQty?: number;
  avgFillPrice?: number;
  fee?: number;
  realizedPnl?: number;
}

/** Answer to `scale` with at least one level placed. */
export interface ScaleDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  placed: number;
  failed: number;
  total: number;
  results: Array<ScaleLevelResult>;
}

/** One level: its order id, or why it was not placed. */
export interface ScaleLevelResult {
  success: boolean;
  price: number;
  quantity: number;
  orderId?: string;
  error?: string;
  errorCode?: ErrorCode;
}

/** Answer to `basket` with at least one leg executed. */
export interface BasketDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  basketName: string;
  total: number;
  succeeded: number;
  failed: number;
  results: Array<BasketLegResult>;
}

/** One leg; `trade` is null for a failed one, `errors` for a successful one. */
export interface BasketLegResult {
  symbol: string;
  side: "BUY" | "SELL";
  success: boolean;
  trade: BasketTrade | null;
  errors: Array<FieldError> | null;
}

/** What a basket leg has traded; null where only the exchange's acknowledgement was waited for. */
export interface BasketTrade {
  clientOrderId: string;
  price: number | null;
  quantity: number;
  notional: number | null;
  position: BasketPosition | null;
}

/** The position a basket leg has led to. */
export interface BasketPosition {
  id: string;
  entryPrice: number;
  quantity: number;
  notional: number;
  margin: number;
}

/**
 * Answer to `close`; with `waitFor: ack`, `trade` and `newBalance` are null.
 *
 * The ids are null where the position was too small for the exchange, and the house has taken it over at the mark.
 */
export interface CloseDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  clientOrderId: string | null;
  orderId: string | null;
  position: ClosedPosition;
  trade: CloseTrade | null;
  newBalance: number | null;
  orders?: Array<OrderResult>;
}

/** The position after a close. */
export interface ClosedPosition {
  id: string;
  symbol: string;
  side: "LONG" | "SHORT";
  status: "CLOSED" | "OPEN";
  remainingQty: number;
}

/** What a close has traded, over all its orders; `realizedPnl` is after fees. */
export interface CloseTrade {
  price: number;
  quantity: number;
  realizedPnl: number;
  fee: number;
  action: "CLOSE";
}

/** Answer to `close_all`; `total` and `results` are 0 and empty when nothing was open. */
export interface CloseAllDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  closed: number;
  total: number;
  cancelled: number;
  results: Array<CloseAllItem>;
}

/** One position: its realised PnL, or why it is still open. */
export interface CloseAllItem {
  positionId: string;
  symbol: string;
  success: boolean;
  pnl?: number;
  error?: string;
  errorCode?: ErrorCode;
}

/** Answer to `cancel_all`; orders that had filled meanwhile count as failed. */
export interface CancelAllDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  cancelled: number;
  failed: number;
  total: number;
}

/** Answer to `validate`: the check was made; `valid` and `errors` tell how it ended. */
export interface ValidateDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  valid: boolean;
  errors: Array<FieldError>;
  computedValues: ComputedValues;
}

/** What the validator computed, in USDT; null where a failed check left it unknown. */
export interface ComputedValues {
  price: number | null;
  notional: number | null;
  requiredMargin: number | null;
  availableBalance: number | null;
  currentExposure: number | null;
  equity: number | null;
  maintenanceMargin: number | null;
}

/** Answer to `account`; `account` is the snapshot after it. */
export interface AccountDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  subAccountId: string;
  action: "assign" | "create" | "deposit" | "freeze" | "set_mode" | "set_rules" | "takeover" | "unfreeze" | "withdraw";
  name: string;
  status: "ACTIVE" | "CLOSED" | "FROZEN" | "LIQUIDATED";
  balance: number;
  account: AccountSnapshot;
}

/** The account after the event that carries it: complete, never a difference. */
export interface AccountSnapshot {
  balance: number;
  equity: number;
  marginUsed: number;
  availableMargin: number;
  positions: Array<SnapshotPosition>;
}

/** An open position in an account snapshot. */
export interface SnapshotPosition {
  id: string;
  symbol: string;
  side: "LONG" | "SHORT";
  entryPrice: number;
  quantity: number;
  margin: number;
  leverage: number;
}

/** Answer to `trading_state`; without account or symbol it holds for all of them. */
export interface TradingStateDone {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  state: "active" | "halted" | "reducing";
  subAccountId: string | null;
  symbol: string | null;
}

/** Answer to `chase`. */
export interface ChaseStarted {
  chaseId: string;
  symbol: string;
  side: "BUY" | "SELL";
  quantity: number;
  filledQty: number;
  leverage: number;
  stalkOffsetPct: number;
  stalkOffsetTicks?: number;
  stalkMode: "maintain" | "none" | "trail";
  maxDistancePct: number;
  minIntervalMs: number;
  reduceOnly: boolean;
  postOnly: boolean;
  currentOrderPrice: number | null;
  initialPrice: number | null;
  bid: number | null;
  ask: number | null;
  repriceCount: number;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  parentScalperId: string | null;
  /** UTC epoch milliseconds */
  startedAt: number;
  success: true;
  requestId: string;
  warnings?: Array<string>;
}

/** Answer to `scalper`. */
export interface ScalperStarted {
  startSide: "LONG" | "SHORT";
  leverage: number;
  childCount: number;
  skew: number;
  longOffsetPct: number;
  shortOffsetPct: number;
  longSizeUsd: number;
  shortSizeUsd: number;
  quantity?: number;
  neutralMode: boolean;
  longMaxPrice: number | null;
  shortMinPrice: number | null;
  pinLongToEntry: boolean;
  pinShortToEntry: boolean;
  minFillSpreadPct: number;
  fillDecayHalfLifeMs: number;
  minRefillDelayMs: number;
  allowLoss: boolean;
  maxLossPerCloseBps: number;
  maxFillsPerMinute: number;
  pnlFeedbackMode: "full" | "off" | "soft";
  scalperId: string;
  symbol: string;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  fillCount: number;
  longLayers: number;
  shortLayers: number;
  longSlots: Array<ScalperSlot>;
  shortSlots: Array<ScalperSlot>;
  /** UTC epoch milliseconds */
  startedAt: number;
  success: true;
  requestId: string;
  warnings?: Array<string>;
}

/** A layer of one leg: (`leg`, `layerIdx`) is its key. `qty` is base coin, `retryAt` epoch milliseconds. */
export interface ScalperSlot {
  leg: "LONG" | "SHORT";
  layerIdx: number;
  offsetPct: number;
  qty: number;
  active: boolean;
  paused: boolean;
  /** UTC epoch milliseconds */
  retryAt: number | null;
  retryCount: number;
  pauseReason: "burst_limit" | "fill_spread" | "max_loss_guard" | "neutral_inventory_full" | "no_position" | "price_filter" | "refill_delay" | "risk" | "user" | null;
  fills: number;
  pnlSum: number | null;
  pnlScoreEma: number | null;
  avgHoldMs: number | null;
}

/** Answer to `twap`. */
export interface TwapStarted {
  twapId: string;
  symbol: string;
  side: "BUY" | "SELL";
  totalSize: number | null;
  filledSize: number;
  totalQty: number | null;
  filledQty: number;
  leverage: number;
  totalLots: number;
  filledLots: number;
  intervalSeconds: number;
  durationMinutes: number;
  jitter: boolean;
  irregular: boolean;
  priceLimit: number | null;
  skippedTicks: number;
  errors: Array<LotError>;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  twapBasketId?: string;
  /** UTC epoch milliseconds */
  startedAt: number;
  /** UTC epoch milliseconds */
  estimatedEnd: number;
  /** UTC epoch milliseconds */
  nextOrderAt: number | null;
  success: true;
  requestId: string;
  warnings?: Array<string>;
}

/** A lot (from 1) that could not be executed, and why. */
export interface LotError {
  lot: number;
  error: string;
}

/** Answer to `twap_basket`. */
export interface TwapBasketStarted {
  twapBasketId: string;
  basketName: string;
  totalLots: number;
  filledLots: number;
  intervalSeconds: number;
  durationMinutes: number;
  jitter: boolean;
  irregular: boolean;
  legs: Array<TwapBasketLegItem>;
  errors: Array<LotError>;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  /** UTC epoch milliseconds */
  startedAt: number;
  /** UTC epoch milliseconds */
  estimatedEnd: number;
  /** UTC epoch milliseconds */
  nextOrderAt: number | null;
  success: true;
  requestId: string;
  warnings?: Array<string>;
}

/** One leg of a basket TWAP. */
export interface TwapBasketLegItem {
  symbol: string;
  side: "BUY" | "SELL";
  filledSize: number;
  totalSize: number;
  filledQty: number;
  totalQty: number | null;
}

/** Answer to `trail_stop`. */
export interface TrailStopStarted {
  trailStopId: string;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  callbackPct: number;
  activationPrice: number | null;
  activated: boolean;
  extremePrice: number | null;
  triggerPrice: number | null;
  currentPrice: number | null;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  /** UTC epoch milliseconds */
  startedAt: number;
  success: true;
  requestId: string;
  warnings?: Array<string>;
}

/** Answer to `chase_cancel`, `chase_pause`, `chase_resume`. */
export interface ChaseChanged {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  chaseId: string;
  symbol: string;
  side: "BUY" | "SELL";
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  filledQty: number;
}

/** Answer to `scalper_cancel`, `scalper_pause`, `scalper_resume`. */
export interface ScalperChanged {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  scalperId: string;
  symbol: string;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  closedPositions: boolean;
}

/** Answer to `twap_cancel`, `twap_pause`, `twap_resume`. */
export interface TwapChanged {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  twapId: string;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  filledLots: number;
  totalLots: number;
  filledSize: number;
  totalSize: number | null;
}

/** Answer to `twap_basket_cancel`, `twap_basket_pause`, `twap_basket_resume`. */
export interface TwapBasketChanged {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  twapBasketId: string;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  filledLots: number;
  totalLots: number;
}

/** Answer to `trail_stop_cancel`, `trail_stop_pause`, `trail_stop_resume`. */
export interface TrailStopChanged {
  success: true;
  requestId: string;
  warnings?: Array<string>;
  traceparent?: string;
  trailStopId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  status: "active" | "ended" | "paused" | "starting" | "stopping";
}

/**
 * What stands in a published event beside its own fields.
 *
 * `seq` rises by one per account, across restarts; `eventId` is its id in `pms:events`, to read on from; another `epoch` means a restored or lost Redis: start cold. `traceparent` is there where the command that caused the event had one, or is traced.
 */
export interface Sequenced {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
}

/** Sent to the exchange. Which level or lot of what it is stands here too (`twapLot` from 1). */
export interface OrderPlaced {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "order_placed";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  symbol: string;
  side: "BUY" | "SELL";
  orderType: "LIMIT" | "MARKET";
  quantity: number;
  price: number;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  filledQty: number;
  avgFillPrice: number | null;
  lastFillPrice: number | null;
  lastFillQty: number | null;
  fee: number | null;
  feeAsset: string | null;
  reduceOnly: boolean;
  origin: "BASKET" | "CHASE" | "LIQUIDATION" | "MANUAL" | "SCALE" | "SCALPER" | "TRAIL_STOP" | "TWAP";
  parentId: string | null;
  suppressToast: boolean;
  notional: number;
  leverage: number;
  scaleIndex?: number;
  scaleTotal?: number;
  twapLot?: number;
  twapTotal?: number;
  twapId?: string;
  twapBasketId?: string;
}

/** Confirmed by the exchange's feed as resting, or amended. */
export interface OrderActive {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "order_active";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  symbol: string;
  side: "BUY" | "SELL";
  orderType: "LIMIT" | "MARKET";
  quantity: number;
  price: number;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  filledQty: number;
  avgFillPrice: number | null;
  lastFillPrice: number | null;
  lastFillQty: number | null;
  fee: number | null;
  feeAsset: string | null;
  reduceOnly: boolean;
  origin: "BASKET" | "CHASE" | "LIQUIDATION" | "MANUAL" | "SCALE" | "SCALPER" | "TRAIL_STOP" | "TWAP";
  parentId: string | null;
  suppressToast: boolean;
}

/** Executed in part. */
export interface OrderPartial {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "order_partial";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  symbol: string;
  side: "BUY" | "SELL";
  orderType: "LIMIT" | "MARKET";
  quantity: number;
  price: number;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  filledQty: number;
  avgFillPrice: number | null;
  lastFillPrice: number | null;
  lastFillQty: number | null;
  fee: number | null;
  feeAsset: string | null;
  reduceOnly: boolean;
  origin: "BASKET" | "CHASE" | "LIQUIDATION" | "MANUAL" | "SCALE" | "SCALPER" | "TRAIL_STOP" | "TWAP";
  parentId: string | null;
  suppressToast: boolean;
  account: AccountSnapshot;
}

/** Executed in full. */
export interface OrderFilled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "order_filled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  symbol: string;
  side: "BUY" | "SELL";
  orderType: "LIMIT" | "MARKET";
  quantity: number;
  price: number;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  filledQty: number;
  avgFillPrice: number | null;
  lastFillPrice: number | null;
  lastFillQty: number | null;
  fee: number | null;
  feeAsset: string | null;
  reduceOnly: boolean;
  origin: "BASKET" | "CHASE" | "LIQUIDATION" | "MANUAL" | "SCALE" | "SCALPER" | "TRAIL_STOP" | "TWAP";
  parentId: string | null;
  suppressToast: boolean;
  account: AccountSnapshot;
}

/** Ended at the exchange without being filled; `reason` is its status: CANCELED, EXPIRED, REJECTED, … */
export interface OrderCancelled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "order_cancelled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  symbol: string;
  side: "BUY" | "SELL";
  orderType: "LIMIT" | "MARKET";
  quantity: number;
  price: number;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  filledQty: number;
  avgFillPrice: number | null;
  lastFillPrice: number | null;
  lastFillQty: number | null;
  fee: number | null;
  feeAsset: string | null;
  reduceOnly: boolean;
  origin: "BASKET" | "CHASE" | "LIQUIDATION" | "MANUAL" | "SCALE" | "SCALPER" | "TRAIL_STOP" | "TWAP";
  parentId: string | null;
  suppressToast: boolean;
  reason: string;
  account: AccountSnapshot;
}

/** Refused synchronously by the exchange, or never sent. */
export interface OrderFailed {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "order_failed";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId: string;
  orderId: string;
  exchangeOrderId: string | null;
  symbol: string;
  side: "BUY" | "SELL";
  orderType: "LIMIT" | "MARKET";
  quantity: number;
  price: number;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  filledQty: number;
  avgFillPrice: number | null;
  lastFillPrice: number | null;
  lastFillQty: number | null;
  fee: number | null;
  feeAsset: string | null;
  reduceOnly: boolean;
  origin: "BASKET" | "CHASE" | "LIQUIDATION" | "MANUAL" | "SCALE" | "SCALPER" | "TRAIL_STOP" | "TWAP";
  parentId: string | null;
  suppressToast: boolean;
  error: string;
  errorCode: ErrorCode;
}

/** Opened or changed. */
export interface PositionUpdated {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "position_updated";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  account: AccountSnapshot;
  entryPrice: number;
  quantity: number;
  notional: number;
  leverage: number;
  margin: number;
  liquidationPrice: number | null;
}

/** Closed. `reason`: CLOSE, FLIP, LIMIT_CLOSE, TRAIL_STOP, SCALPER_CLEANUP, LIQUIDATE, RECONCILE, … */
export interface PositionClosed {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "position_closed";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  account: AccountSnapshot;
  realizedPnl: number;
  newBalance: number;
  reason: string;
  closePrice: number;
}

/** Made smaller. */
export interface PositionReduced {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "position_reduced";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  account: AccountSnapshot;
  closedQty: number;
  remainingQty: number;
  realizedPnl: number;
  newBalance: number;
  reason: string;
}

/** Started, repriced, filled in part, paused or resumed; else at most once a second. */
export interface ChaseProgress {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "chase_progress";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  chaseId: string;
  symbol: string;
  side: "BUY" | "SELL";
  quantity: number;
  filledQty: number;
  repriceCount: number;
  parentScalperId: string | null;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  stalkOffsetPct: number;
  stalkMode: "maintain" | "none" | "trail";
  maxDistancePct: number;
  currentOrderPrice: number | null;
  initialPrice: number | null;
  bid: number | null;
  ask: number | null;
}

/** Filled in full; `fillPrice` is the average of all its orders, `dustQty` what was left and is below a minimum. */
export interface ChaseFilled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "chase_filled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  chaseId: string;
  symbol: string;
  side: "BUY" | "SELL";
  quantity: number;
  filledQty: number;
  repriceCount: number;
  parentScalperId: string | null;
  fillPrice: number;
  dustQty: number;
}

/** Ended before it was filled. */
export interface ChaseCancelled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "chase_cancelled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  chaseId: string;
  symbol: string;
  side: "BUY" | "SELL";
  quantity: number;
  filledQty: number;
  repriceCount: number;
  parentScalperId: string | null;
  reason: "cancelled" | "distance_breached" | "error" | "position_closed" | "risk";
  error?: string;
  errorCode?: ErrorCode;
}

/** Its state and each slot's; on change, else at most once a second. */
export interface ScalperProgress {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "scalper_progress";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  scalperId: string;
  symbol: string;
  startSide: "LONG" | "SHORT";
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  fillCount: number;
  longMaxPrice: number | null;
  shortMinPrice: number | null;
  neutralMode: boolean;
  minFillSpreadPct: number;
  fillDecayHalfLifeMs: number;
  minRefillDelayMs: number;
  allowLoss: boolean;
  maxLossPerCloseBps: number;
  maxFillsPerMinute: number;
  pnlFeedbackMode: "full" | "off" | "soft";
  longSlots: Array<ScalperSlot>;
  shortSlots: Array<ScalperSlot>;
  /** UTC epoch milliseconds */
  startedAt: number;
}

/** A layer was filled; `side` is its leg. */
export interface ScalperFilled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "scalper_filled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  scalperId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  layerIdx: number;
  fillPrice: number;
  fillQty: number;
}

/** Ended, with its children. */
export interface ScalperCancelled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "scalper_cancelled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  scalperId: string;
  symbol: string;
  reason: "cancelled" | "error" | "risk";
  closedPositions: boolean;
}

/** A lot has ended, or was put off because of `priceLimit` (`skipped`). */
export interface TwapProgress {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "twap_progress";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  twapId: string;
  symbol: string;
  side: "BUY" | "SELL";
  filledLots: number;
  totalLots: number;
  filledSize: number;
  totalSize: number | null;
  filledQty: number;
  totalQty: number | null;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  lastLotSuccess?: boolean;
  lastLotType?: "limit" | "market";
  skipped?: boolean;
  skippedTicks?: number;
  currentPrice?: number;
  priceLimit?: number;
}

/** All lots have ended. */
export interface TwapCompleted {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "twap_completed";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  twapId: string;
  symbol: string;
  side: "BUY" | "SELL";
  filledLots: number;
  totalLots: number;
  filledSize: number;
  totalSize: number | null;
  filledQty: number;
  totalQty: number | null;
  errors: Array<LotError>;
}

/** Ended early. */
export interface TwapCancelled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "twap_cancelled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  twapId: string;
  symbol: string;
  side: "BUY" | "SELL";
  filledLots: number;
  totalLots: number;
  filledSize: number;
  totalSize: number | null;
  filledQty: number;
  totalQty: number | null;
  reason: "cancelled" | "error" | "risk";
  errors: Array<LotError>;
}

/** A lot of all legs has ended. */
export interface TwapBasketProgress {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "twap_basket_progress";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  twapBasketId: string;
  basketName: string;
  filledLots: number;
  totalLots: number;
  legs: Array<TwapBasketLegItem>;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
}

/** All lots have ended. */
export interface TwapBasketCompleted {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "twap_basket_completed";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  twapBasketId: string;
  basketName: string;
  filledLots: number;
  totalLots: number;
  legs: Array<TwapBasketLegItem>;
  errors: Array<LotError>;
}

/** Ended early. */
export interface TwapBasketCancelled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "twap_basket_cancelled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  twapBasketId: string;
  basketName: string;
  filledLots: number;
  totalLots: number;
  legs: Array<TwapBasketLegItem>;
  reason: "cancelled" | "error" | "risk";
  errors: Array<LotError>;
}

/** Activated, paused, resumed, or a new extreme; at most once a second. */
export interface TrailStopProgress {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "trail_stop_progress";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  trailStopId: string;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  callbackPct: number;
  activationPrice: number | null;
  activated: boolean;
  extremePrice: number | null;
  triggerPrice: number | null;
  currentPrice: number | null;
}

/** Fired. `closeSuccess` false: the close was refused and is tried again, the position is still there. */
export interface TrailStopTriggered {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "trail_stop_triggered";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  trailStopId: string;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  extremePrice: number;
  triggerPrice: number;
  triggeredPrice: number;
  closeSuccess: boolean;
  error?: string;
}

/** Removed before it fired. */
export interface TrailStopCancelled {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "trail_stop_cancelled";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  clientOrderId?: string;
  account?: AccountSnapshot;
  trailStopId: string;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  reason: "cancelled" | "error" | "position_closed" | "risk";
}

/** A step of any kind. */
export interface Liquidation {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "liquidation";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  mode: "ADL_30" | "ADL_30_ESCALATED" | "INSOLVENCY_GUARD" | "INSOLVENCY_TAKEOVER" | "INSTANT_CLOSE" | "POOL_GUARD" | "VIRTUAL_LIQ";
  tier: number | null;
  fraction: number | null;
  marginRatio: number;
  symbol: string | null;
  positions: Array<LiquidatedPosition>;
  account: AccountSnapshot;
}

/** A position that a liquidation step has closed or reduced; `remainingQty` 0 when it is closed. */
export interface LiquidatedPosition {
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  closedQty: number;
  remainingQty: number;
  realizedPnl: number;
}

/** The same step under the name browsers know: a partial one. */
export interface AdlTriggered {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "adl_triggered";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  mode: "ADL_30" | "ADL_30_ESCALATED" | "INSOLVENCY_GUARD" | "INSOLVENCY_TAKEOVER" | "INSTANT_CLOSE" | "POOL_GUARD" | "VIRTUAL_LIQ";
  tier: number | null;
  fraction: number | null;
  marginRatio: number;
  symbol: string | null;
  positions: Array<LiquidatedPosition>;
  account: AccountSnapshot;
}

/** The same step under the name browsers know: of everything. */
export interface FullLiquidation {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "full_liquidation";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  mode: "ADL_30" | "ADL_30_ESCALATED" | "INSOLVENCY_GUARD" | "INSOLVENCY_TAKEOVER" | "INSTANT_CLOSE" | "POOL_GUARD" | "VIRTUAL_LIQ";
  tier: number | null;
  fraction: number | null;
  marginRatio: number;
  symbol: string | null;
  positions: Array<LiquidatedPosition>;
  account: AccountSnapshot;
}

/** The margin ratio is near the liquidation threshold; `message` says so to a person. `symbol` is set where it is that of an isolated position. */
export interface MarginWarning {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "margin_warning";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  symbol?: string;
  marginRatio: number;
  liquidationThreshold: number;
  message: string;
  account: AccountSnapshot;
}

/** Created, deposited to, frozen, given other rules, …: `reason` is the action or the ledger's cause. */
export interface AccountUpdated {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "account_updated";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  name: string;
  status: "ACTIVE" | "CLOSED" | "FROZEN" | "LIQUIDATED";
  liquidationMode: "ADL_30" | "INSTANT_CLOSE" | "TAKEOVER";
  reason: string;
  account: AccountSnapshot;
}

/** The trading state of the account (or, with subAccountId "*", of all) and symbol (or all) is another. */
export interface TradingStateChanged {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "trading_state";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  state: "active" | "halted" | "reducing";
  symbol: string | null;
  reason: string;
}

/** Σ virtual positions and the exchange differ on a symbol, confirmed twice; quantities are signed base coin. */
export interface ReconciliationDrift {
  seq: number;
  eventId: string;
  epoch: number;
  traceparent?: string;
  type: "reconciliation_drift";
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  symbol: string;
  positionSide: "BOTH" | "LONG" | "SHORT";
  virtualQty: number;
  exchangeQty: number;
  difference: number;
  frozen: boolean;
}

/** Value of `pms:price:{symbol}`; `mark` equals `mid` and is there for old readers. */
export interface PriceCache {
  bid: number;
  ask: number;
  mid: number;
  mark: number;
  /** UTC epoch milliseconds */
  ts: number;
}

/**
 * Value of `pms:risk:{subAccountId}`: all of an AccountSnapshot and more.
 *
 * `marginRatio` is maintenance margin over equity, both of the cross positions and the cash behind them, as `maintenanceMargin` and `accountLiqPrice`, which is that of the largest of them. `marginMode` is that of positions to come.
 */
export interface RiskSnapshot {
  subAccountId: string;
  /** UTC epoch milliseconds */
  timestamp: number;
  status: "ACTIVE" | "CLOSED" | "FROZEN" | "LIQUIDATED";
  liquidationMode: "ADL_30" | "INSTANT_CLOSE" | "TAKEOVER";
  maintenanceMode: "brackets" | "flat";
  marginMode: "cross" | "isolated";
  balance: number;
  equity: number;
  marginUsed: number;
  availableMargin: number;
  unrealizedPnl: number;
  marginRatio: number;
  maintenanceMargin: number;
  totalExposure: number;
  accountLiqPrice: number | null;
  positions: Array<RiskPosition>;
  openOrders: Array<RiskOrder>;
}

/**
 * An open position in the risk cache. What needs a price is null while there is none.
 *
 * `liquidationPrice` is reckoned with what stands behind the position: of a cross one with the whole account, of an isolated one with its own margin, which `isolatedLiquidationPrice` always is. `marginRatio` is that of an isolated position; cross ones share the account's.
 */
export interface RiskPosition {
  id: string;
  symbol: string;
  side: "LONG" | "SHORT";
  entryPrice: number;
  quantity: number;
  margin: number;
  leverage: number;
  notional: number;
  markPrice: number | null;
  liquidationPrice: number | null;
  isolatedLiquidationPrice: number;
  maintenanceMargin: number;
  unrealizedPnl: number | null;
  pnlPercent: number | null;
  marginMode: "cross" | "isolated";
  marginRatio: number | null;
  /** UTC epoch milliseconds */
  openedAt: number;
}

/** An open order in the risk cache; `id` and `orderId` are the client order id, which `cancel` takes. */
export interface RiskOrder {
  id: string;
  orderId: string;
  clientOrderId: string;
  exchangeOrderId: string | null;
  symbol: string;
  side: "BUY" | "SELL";
  orderType: "LIMIT" | "MARKET";
  quantity: number;
  price: number | null;
  filledQty: number;
  state: "active" | "amending" | "cancelled" | "cancelling" | "expired" | "failed" | "filled" | "placing" | "rejected" | "unknown";
  reduceOnly: boolean;
  leverage: number;
  origin: "BASKET" | "CHASE" | "LIQUIDATION" | "MANUAL" | "SCALE" | "SCALPER" | "TRAIL_STOP" | "TWAP";
  parentId: string | null;
  /** UTC epoch milliseconds */
  createdAt: number;
}

/** A chase. `initialPrice` is its own quote at the start; `bid` and `ask` the touch it last acted on. */
export interface ChaseItem {
  chaseId: string;
  symbol: string;
  side: "BUY" | "SELL";
  quantity: number;
  filledQty: number;
  leverage: number;
  stalkOffsetPct: number;
  stalkOffsetTicks?: number;
  stalkMode: "maintain" | "none" | "trail";
  maxDistancePct: number;
  minIntervalMs: number;
  reduceOnly: boolean;
  postOnly: boolean;
  currentOrderPrice: number | null;
  initialPrice: number | null;
  bid: number | null;
  ask: number | null;
  repriceCount: number;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  parentScalperId: string | null;
  /** UTC epoch milliseconds */
  startedAt: number;
}

/** A scalper; `longLayers` and `shortLayers` count the layers that may open now. */
export interface ScalperItem {
  startSide: "LONG" | "SHORT";
  leverage: number;
  childCount: number;
  skew: number;
  longOffsetPct: number;
  shortOffsetPct: number;
  longSizeUsd: number;
  shortSizeUsd: number;
  quantity?: number;
  neutralMode: boolean;
  longMaxPrice: number | null;
  shortMinPrice: number | null;
  pinLongToEntry: boolean;
  pinShortToEntry: boolean;
  minFillSpreadPct: number;
  fillDecayHalfLifeMs: number;
  minRefillDelayMs: number;
  allowLoss: boolean;
  maxLossPerCloseBps: number;
  maxFillsPerMinute: number;
  pnlFeedbackMode: "full" | "off" | "soft";
  scalperId: string;
  symbol: string;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  fillCount: number;
  longLayers: number;
  shortLayers: number;
  longSlots: Array<ScalperSlot>;
  shortSlots: Array<ScalperSlot>;
  /** UTC epoch milliseconds */
  startedAt: number;
}

/** A TWAP. Sizes are USDT, quantities base coin; what was not asked for in one is null until known in the other. */
export interface TwapItem {
  twapId: string;
  symbol: string;
  side: "BUY" | "SELL";
  totalSize: number | null;
  filledSize: number;
  totalQty: number | null;
  filledQty: number;
  leverage: number;
  totalLots: number;
  filledLots: number;
  intervalSeconds: number;
  durationMinutes: number;
  jitter: boolean;
  irregular: boolean;
  priceLimit: number | null;
  skippedTicks: number;
  errors: Array<LotError>;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  twapBasketId?: string;
  /** UTC epoch milliseconds */
  startedAt: number;
  /** UTC epoch milliseconds */
  estimatedEnd: number;
  /** UTC epoch milliseconds */
  nextOrderAt: number | null;
}

/** A basket TWAP. */
export interface TwapBasketItem {
  twapBasketId: string;
  basketName: string;
  totalLots: number;
  filledLots: number;
  intervalSeconds: number;
  durationMinutes: number;
  jitter: boolean;
  irregular: boolean;
  legs: Array<TwapBasketLegItem>;
  errors: Array<LotError>;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  /** UTC epoch milliseconds */
  startedAt: number;
  /** UTC epoch milliseconds */
  estimatedEnd: number;
  /** UTC epoch milliseconds */
  nextOrderAt: number | null;
}

/** A trailing stop; `side` is the position's. Extreme and trigger are null until it is activated. */
export interface TrailStopItem {
  trailStopId: string;
  positionId: string;
  symbol: string;
  side: "LONG" | "SHORT";
  callbackPct: number;
  activationPrice: number | null;
  activated: boolean;
  extremePrice: number | null;
  triggerPrice: number | null;
  currentPrice: number | null;
  status: "active" | "ended" | "paused" | "starting" | "stopping";
  /** UTC epoch milliseconds */
  startedAt: number;
}

/** What each command carries. */
export interface Commands {
  trade: TradeCommand;
  limit: LimitCommand;
  scale: ScaleCommand;
  basket: BasketCommand;
  close: CloseCommand;
  close_all: CloseAllCommand;
  limit_close: LimitCloseCommand;
  validate: ValidateCommand;
  amend: AmendCommand;
  cancel: CancelCommand;
  cancel_all: CancelAllCommand;
  chase: ChaseCommand;
  chase_cancel: ChaseCancelCommand;
  chase_pause: ChasePauseCommand;
  chase_resume: ChaseResumeCommand;
  scalper: ScalperCommand;
  scalper_cancel: ScalperCancelCommand;
  scalper_pause: ScalperPauseCommand;
  scalper_resume: ScalperResumeCommand;
  twap: TwapCommand;
  twap_cancel: TwapCancelCommand;
  twap_pause: TwapPauseCommand;
  twap_resume: TwapResumeCommand;
  twap_basket: TwapBasketCommand;
  twap_basket_cancel: TwapBasketCancelCommand;
  twap_basket_pause: TwapBasketPauseCommand;
  twap_basket_resume: TwapBasketResumeCommand;
  trail_stop: TrailStopCommand;
  trail_stop_cancel: TrailStopCancelCommand;
  trail_stop_pause: TrailStopPauseCommand;
  trail_stop_resume: TrailStopResumeCommand;
  account: AccountCommand;
  trading_state: TradingStateCommand;
}

/** What each command is answered with when it succeeds. */
export interface Results {
  trade: OrderDone;
  limit: OrderDone;
  limit_close: OrderDone;
  amend: OrderDone;
  cancel: OrderDone;
  scale: ScaleDone;
  basket: BasketDone;
  close: CloseDone;
  close_all: CloseAllDone;
  cancel_all: CancelAllDone;
  validate: ValidateDone;
  account: AccountDone;
  trading_state: TradingStateDone;
  chase: ChaseStarted;
  scalper: ScalperStarted;
  twap: TwapStarted;
  twap_basket: TwapBasketStarted;
  trail_stop: TrailStopStarted;
  chase_cancel: ChaseChanged;
  chase_pause: ChaseChanged;
  chase_resume: ChaseChanged;
  scalper_cancel: ScalperChanged;
  scalper_pause: ScalperChanged;
  scalper_resume: ScalperChanged;
  twap_cancel: TwapChanged;
  twap_pause: TwapChanged;
  twap_resume: TwapChanged;
  twap_basket_cancel: TwapBasketChanged;
  twap_basket_pause: TwapBasketChanged;
  twap_basket_resume: TwapBasketChanged;
  trail_stop_cancel: TrailStopChanged;
  trail_stop_pause: TrailStopChanged;
  trail_stop_resume: TrailStopChanged;
}

/** What each type of event carries. */
export interface Events {
  order_placed: OrderPlaced;
  order_active: OrderActive;
  order_partial: OrderPartial;
  order_filled: OrderFilled;
  order_cancelled: OrderCancelled;
  order_failed: OrderFailed;
  position_updated: PositionUpdated;
  position_closed: PositionClosed;
  position_reduced: PositionReduced;
  chase_progress: ChaseProgress;
  chase_filled: ChaseFilled;
  chase_cancelled: ChaseCancelled;
  scalper_progress: ScalperProgress;
  scalper_filled: ScalperFilled;
  scalper_cancelled: ScalperCancelled;
  twap_progress: TwapProgress;
  twap_completed: TwapCompleted;
  twap_cancelled: TwapCancelled;
  twap_basket_progress: TwapBasketProgress;
  twap_basket_completed: TwapBasketCompleted;
  twap_basket_cancelled: TwapBasketCancelled;
  trail_stop_progress: TrailStopProgress;
  trail_stop_triggered: TrailStopTriggered;
  trail_stop_cancelled: TrailStopCancelled;
  liquidation: Liquidation;
  adl_triggered: AdlTriggered;
  full_liquidation: FullLiquidation;
  margin_warning: MarginWarning;
  account_updated: AccountUpdated;
  trading_state: TradingStateChanged;
  reconciliation_drift: ReconciliationDrift;
}

export type CommandType = keyof Commands;

export type EventType = keyof Events;

/** Any event, told apart by `type`. */
export type PmsEvent = Events[EventType];

/** What `pms:algos:*` holds. */
export type AlgoItem = ChaseItem | ScalperItem | TwapItem | TwapBasketItem | TrailStopItem;

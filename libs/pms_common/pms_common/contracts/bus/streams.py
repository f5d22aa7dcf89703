"""What each updates stream may carry, as one decoder a stream.

Used by every reader of an updates stream; an entry of another form is malformed.
"""

import msgspec

from pms_common.contracts.bus.algos import AlgoState
from pms_common.contracts.bus.common import PublicEvent, RequestDone, SnapshotBegin, SnapshotEnd
from pms_common.contracts.bus.orders import ExchangeAccount, OrdersReady, OrderUpdate, Reference
from pms_common.contracts.bus.risk import AccountState, ChildRefused, TradingState

OrdersUpdates = OrderUpdate | RequestDone | ExchangeAccount | Reference | OrdersReady | SnapshotBegin | SnapshotEnd
RiskUpdates = PublicEvent | RequestDone | ChildRefused | AccountState | TradingState | SnapshotBegin | SnapshotEnd
AlgosUpdates = PublicEvent | RequestDone | AlgoState | SnapshotBegin | SnapshotEnd

orders_updates = msgspec.json.Decoder(OrdersUpdates)
risk_updates = msgspec.json.Decoder(RiskUpdates)
algos_updates = msgspec.json.Decoder(AlgosUpdates)

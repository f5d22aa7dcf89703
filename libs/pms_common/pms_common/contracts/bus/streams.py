"""What each updates stream may carry, as one decoder a stream.

Used by every reader of an updates stream; an entry of another form is malformed.
"""

import msgspec

from pms_common.contracts.bus.algos import AlgosControlled, AlgoState
from pms_common.contracts.bus.common import HistoryPage, PublicEvent, RequestDone, SnapshotBegin, SnapshotEnd
from pms_common.contracts.bus.exchange import Brackets, CashFlows, ForeignOrder, FundingRates, Reconciled
from pms_common.contracts.bus.orders import ExchangeAccount, OrdersReady, OrderUpdate, Reference
from pms_common.contracts.bus.risk import AccountState, ChildRefused, TradingState

ExchangeTold = ExchangeAccount | ForeignOrder | CashFlows | FundingRates | Reconciled | Reference | Brackets
OrdersUpdates = OrderUpdate | RequestDone | HistoryPage | OrdersReady | SnapshotBegin | SnapshotEnd | ExchangeTold
RiskUpdates = (
    PublicEvent | RequestDone | HistoryPage | ChildRefused | AccountState | TradingState | SnapshotBegin | SnapshotEnd
)
AlgosUpdates = PublicEvent | RequestDone | AlgoState | AlgosControlled | SnapshotBegin | SnapshotEnd

orders_updates = msgspec.json.Decoder(OrdersUpdates)
risk_updates = msgspec.json.Decoder(RiskUpdates)
algos_updates = msgspec.json.Decoder(AlgosUpdates)

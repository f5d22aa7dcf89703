"""Risk's handlers: message in → domain → outputs into the outbox and rows into the journal. None of them waits.

state         what all handlers look at; `specs` of the order service, readiness, gates
approvals     an order put to the rules, reserved, and sent to the order service
trading       trade, limit, validate; sets: scale, basket; children: the same for orders of algos
sizing        quantities on the grid; first_prices: commands that wait for one
amends        amend: new terms of a resting order
closes        close, limit_close, close_all; closings: every close under way, whoever wants it; giving_way: other
              orders cancelled or made smaller for one; clearing: barriers, algos stopped and orders cancelled before
              all of an account is closed; algos_updates: the algos' answers
waits         requests that risk ends itself; wait: the form of one; results: what their answers say
accounts      the operators' account commands; trading_states: the operators' gates
administration  what the JS application does to accounts and rules in its own tables
order_feed    order updates: fills booked, reservations moved; late: what is older than memory
foreign_fills forced closes by the exchange, executions of others; assignments: those given to an account later
cash_flows    funding and other payments; fee_values: what commissions in other assets were worth
events        public events of orders and positions; takeovers: positions that the house takes from accounts
sentinel      watches every account's margin ratio; liquidator: carries out what it decides; liquidation_events
pool          watches the exchange account's own margin
exchange      facts of the exchange account, reconciliation
watching      which symbols are wanted; requests that wait for a first price
caches        pms:risk:*, AccountState; snapshots: answers to those who ask for everything
updates       the order service's stream: gaps, snapshots; lost_orders: reservations of orders nobody knows
start         books and reservations after a start
"""

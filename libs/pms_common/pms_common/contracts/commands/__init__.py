"""All public commands: one family a file, and the registry of types.

base        envelope and defaults        orders      trade validate limit scale basket cancel amend cancel_all
positions   close close_all limit_close  chase       chase and its cancel, pause, resume
scalper     likewise                     twap        twap, twap_basket, likewise
trail_stop  likewise                     admin       account, trading_state (operators)
"""

from __future__ import annotations

from pms_common.contracts.commands.admin import Account, SetTradingState
from pms_common.contracts.commands.base import Command
from pms_common.contracts.commands.chase import Chase, ChaseCancel, ChasePause, ChaseResume
from pms_common.contracts.commands.orders import Amend, Basket, Cancel, CancelAll, Limit, Scale, Trade, Validate
from pms_common.contracts.commands.positions import Close, CloseAll, LimitClose
from pms_common.contracts.commands.scalper import Scalper, ScalperCancel, ScalperPause, ScalperResume
from pms_common.contracts.commands.trail_stop import TrailStop, TrailStopCancel, TrailStopPause, TrailStopResume
from pms_common.contracts.commands.twap import (
    Twap,
    TwapBasket,
    TwapBasketCancel,
    TwapBasketPause,
    TwapBasketResume,
    TwapCancel,
    TwapPause,
    TwapResume,
)

COMMANDS: dict[str, type[Command]] = {
    command.TYPE: command
    for command in (
        *(Trade, Limit, Scale, Basket, Close, CloseAll, LimitClose, Validate, Amend),
        *(Cancel, CancelAll),
        *(Chase, ChaseCancel, ChasePause, ChaseResume),
        *(Scalper, ScalperCancel, ScalperPause, ScalperResume),
        *(Twap, TwapCancel, TwapPause, TwapResume),
        *(TwapBasket, TwapBasketCancel, TwapBasketPause, TwapBasketResume),
        *(TrailStop, TrailStopCancel, TrailStopPause, TrailStopResume),
        *(Account, SetTradingState),
    )
}
"""Type → class. The class says its `OWNER`, its `STREAM` (`cmd` or `op`) and its defaults."""

__all__ = ["COMMANDS", "Command"]

"""The exchange: Binance USDⓈ-M Futures, by WebSocket API, REST and user stream.

Owns how things are said to and heard from the venue; decides nothing. Nobody outside this package knows its JSON.
"""

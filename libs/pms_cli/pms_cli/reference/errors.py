"""The page of error codes: category, whether to try again, meaning, and the exchange's codes that become it."""

from collections import defaultdict

from pms_cli.reference import markdown
from pms_cli.reference.markdown import code, table
from pms_common.contracts.errors import EARLIER, Category, ErrorCode
from pms_common.contracts.exchange_codes import MEANINGS

_INTRO = """`errorCode` and `errorCategory` of a failed result, and `code` of its `errors`. To try again means: the
same command under a new request id may succeed without anybody changing anything."""
_EARLIER = "Known from earlier engines, and not given any more:"
_MEANING = {
    Category.VALIDATION: "the sender: the command itself is wrong",
    Category.OWNERSHIP: "the sender: the object belongs to another account",
    Category.RISK: "the account's owner or an operator: rules or state forbid it",
    Category.EXCHANGE: "the exchange refused it",
    Category.AMBIGUITY: "nobody yet: the outcome is not known, ask as the message says",
    Category.TIMEOUT: "the sender: it came, or went on, too late",
    Category.INFRA: "the operator: a part of the system is not available",
}


def page() -> str:
    """The page."""
    categories = table(("category", "who has to do something"), [(code(c.value), _MEANING[c]) for c in Category])
    exchange = defaultdict(list)
    for number in sorted(MEANINGS, reverse=True):
        exchange[MEANINGS[number].error].append(number)
    del exchange[ErrorCode.EXCHANGE_REJECTED]  # all others
    rows = [
        (code(e.name), e.category.value, "yes" if e.retryable else "", e.meaning, _list(exchange.get(e, [])))
        for e in ErrorCode
        if e not in EARLIER
    ]
    earlier = ", ".join(code(e.name) for e in ErrorCode if e in EARLIER)
    columns = ("code", "category", "try again", "meaning", "of the exchange's")
    return markdown.page("Error codes", _INTRO, categories, table(columns, rows), f"{_EARLIER} {earlier}.")


def _list(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))

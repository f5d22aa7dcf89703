"""The liquidations under way. Owns which there are; what each does, `course` says. Used by all handlers."""

from pms_risk.domain.liquidation.course import Course


class Courses:
    """Liquidations under way, by account and by what they concern there."""

    def __init__(self) -> None:
        self._by_account: dict[str, dict[str, Course]] = {}

    def get(self, account_id: str, isolated: str = "") -> Course | None:
        """Of the account's cross positions, or of an isolated one; it may be done."""
        return self._by_account.get(account_id, {}).get(isolated)

    def of(self, account_id: str) -> list[Course]:
        """All of an account."""
        return list(self._by_account.get(account_id, {}).values())

    def all(self) -> list[Course]:
        """All there are."""
        return [course for courses in self._by_account.values() for course in courses.values()]

    def put(self, course: Course) -> None:
        """One begins, in the place of the one before."""
        self._by_account.setdefault(course.account_id, {})[course.isolated] = course

    def drop(self, course: Course) -> None:
        """One is of no interest any more."""
        courses = self._by_account[course.account_id]
        del courses[course.isolated]
        if not courses:
            del self._by_account[course.account_id]

    def concern(self, account_id: str, symbol: str) -> bool:
        """Whether new orders of an account on a symbol must wait for the end of one."""
        return account_id in self._by_account and any(course.concerns(symbol) for course in self.of(account_id))

    def under_way(self, account_id: str) -> bool:
        """Whether anything of an account is being liquidated."""
        return any(not course.done for course in self.of(account_id))

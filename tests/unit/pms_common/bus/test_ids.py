"""Entry ids are ordered as numbers."""

from pms_common.bus.ids import id_key, id_ms


def test_ordered_by_number_not_text():
    assert id_key("9-0") < id_key("10-0") < id_key("10-2") < id_key("10-10")
    assert id_ms("1700000000000-5") == 1_700_000_000_000

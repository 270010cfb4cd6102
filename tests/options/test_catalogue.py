"""The option table, for programs and on paper."""

from __future__ import annotations

from proxy.cli import tables
from proxy.options.catalogue import options_table
from proxy.options.spec import OPTIONS, OPTIONS_BY_NAME


def test_every_option_is_in_the_catalogue_with_all_its_names() -> None:
    rows = options_table()
    assert [name for row in rows for name in row["names"]] == list(OPTIONS_BY_NAME)
    assert {row["name"] for row in rows} >= {each.listed_as or each.name for each in OPTIONS.values()}


def test_options_json_keeps_the_names_that_clients_know() -> None:
    """The border was once the line, and the padding the border."""
    rows = {row["names"][0]: row for row in options_table()}
    assert (rows["border"]["name"], rows["border"]["kind"]["kind"]) == ("line", "line")
    assert (rows["extend"]["name"], rows["extend"]["kind"]["kind"]) == ("extend", "border")


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert tables.markdown(("a",), (("x|y",),)) == "| a |\n| --- |\n| x\\|y |"


def test_a_long_term_has_a_line_of_its_own() -> None:
    term = "t" * 40
    assert tables.listing([("a", ("one two",)), (term, ("three",))], width=10) == (
        f"a  one two\n{term}\n   three"
    )

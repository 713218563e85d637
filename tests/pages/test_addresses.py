"""Addresses with any parameters: `pytest tests/pages/test_addresses.py`.

A link comes from anybody. Whatever stands in it, the page opens: a value that no control has is
left out, and a name that no run has is said to be unknown, as text.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from tests.probed import write_probed

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "compare": "evidence/compare.py", "refinements": "evidence/refinements.py",
    "argument": "evidence/argument.py", "runs": "evidence/runs.py",
    "image": "lens/image.py", "train": "training/train.py", "import": "training/import_net.py",
}  # fmt: skip
HOSTILE = [
    "../../../etc/passwd", "/etc/passwd", "C:\\Windows\\win.ini", "CON", "nul\x00l", "",
    "<img src=x onerror=alert(1)>", "$x^2$ **b** ![](http://example.org/a.png)", "x" * 10_000,
    "1e999", "-1", "NaN", "[]", '{"a": 1}', "left\u202eright\nline", "{0.__class__}",
]  # fmt: skip


def bound_keys() -> list[str]:
    """Keys of all controls of the pages, bound to the address or not."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "pages").rglob("*.py"))
    found = re.findall(
        r'"((?:compare|refinements|argument|runs|image|train|import)_[a-z_]+)"', text
    )
    return sorted({*found, "lang", "embed"})


def test_the_keys_are_found():
    """Or the tests below would ask nothing."""
    keys = bound_keys()
    assert {"compare_runs", "compare_smoothing", "refinements_moment", "image_square"} <= {*keys}
    assert len(keys) > 60


@pytest.mark.trains
@pytest.mark.parametrize("value", HOSTILE)
def test_any_page_opens_whatever_the_address_says(folder: Path, value: str):
    """With the value for every control at once, once and twice over; nothing of it is markup."""
    for net in ("plain-8", "resnet-8"):
        write_probed(folder, net)
    for file in PAGES.values():
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
        for number, key in enumerate(bound_keys()):
            at.query_params[key] = [value, value] if number % 2 else value
        at.switch_page(f"pages/{file}").run()
        assert not at.exception, (file, at.exception[0].message)
        for said in [*at.warning, *at.error, *at.info, *at.markdown, *at.caption]:
            assert "<img src=x" not in said.value.replace("\\<", "")
            assert "](http://example.org" not in said.value.replace("\\]", "")


WORDS = st.one_of(
    st.sampled_from(HOSTILE),
    st.sampled_from(
        ["plain-8 quick-e3 s0 tiny", "Log", "Time", "zh_CN", "true", "0.5", "50,50,50"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.integers().map(str),
    st.floats().map(str),
)
ADDRESSES = st.dictionaries(
    st.sampled_from(bound_keys()) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.lists(WORDS, min_size=1, max_size=3),
    max_size=8,
)


@settings(
    max_examples=12, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(asked=ADDRESSES, name=st.sampled_from(sorted(PAGES)))
def test_any_address_opens_its_page(folder: Path, asked: dict[str, list[str]], name: str):
    """Any controls, and none of ours, with any values, each once or several times."""
    if not folder.exists():
        for net in ("plain-8", "resnet-8"):
            write_probed(folder, net)
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=120)
    for key, values in asked.items():
        at.query_params[key] = values
    at.switch_page(f"pages/{PAGES[name]}").run()
    assert not at.exception, at.exception[0].message
    assert at.title

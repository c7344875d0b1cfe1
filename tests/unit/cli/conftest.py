"""A host that is always the same."""

import pytest

from driver.host import facts


@pytest.fixture
def machine(monkeypatch):
    described = {"cpu": "Some CPU", "int8_instructions": [], "cores": 2}
    monkeypatch.setattr(facts, "describe", lambda: described)
    monkeypatch.setattr(facts, "cores", lambda: 2)

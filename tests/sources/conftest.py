"""What the tests of sources share: one reading for all tests of a module that lay files down (together.py)."""

from __future__ import annotations

import pytest

from tests.sources.together import Place, lay


@pytest.fixture(scope="module")
def places(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    return lay(request, tmp_path_factory.mktemp)


@pytest.fixture
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    """A test's own folder of the module's shared data root."""
    return places[request.node.nodeid]

import pytest
from report_sections import read


@pytest.fixture(scope="session")
def found(study):
    """To be read only: what the sections say of the study of eight trials."""
    return read(study)

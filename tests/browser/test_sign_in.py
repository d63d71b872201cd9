"""A browser signs in at an issuer at another site, and comes back to start."""

from __future__ import annotations

from pathlib import Path

import oidc_provider_mock
import pytest
from playwright.sync_api import Browser, expect

from tests.support.browser import Watch, visit
from tests.support.web import served

pytestmark = pytest.mark.browser


@pytest.mark.fact(59)
def test_signing_in_leads_back_and_into_the_studio(
    chromium: Browser, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    file = tmp_path / "oidc.toml"
    with oidc_provider_mock.run_server_in_thread(
        user_claims=[oidc_provider_mock.User(sub="ann")]
    ) as issuer:
        file.write_text(
            f'issuer = "http://localhost:{issuer.server_port}"\n'
            'client_id = "likeness"\nclient_secret = "x"\n'
        )
        file.chmod(0o600)
        with (
            served(tmp_path / "scratch", entrance="oidc", oidc=str(file)) as place,
            visit(chromium, place.url, watch) as page,
        ):
            page.goto("/")
            expect(page.get_by_role("checkbox")).to_have_count(0)
            page.get_by_role("link", name="Sign in").click()
            page.locator("input[name=sub]").fill("ann")
            page.keyboard.press("Enter")
            page.wait_for_url(f"{place.url}/")
            page.get_by_role("checkbox").check()
            page.get_by_role("button", name="look around").click()
            page.wait_for_url(f"{place.url}/studio/")
    assert watch.complaints == []

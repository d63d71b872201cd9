"""The one frozen settings object, read once at start from `LIKENESS_*` and passed down.

Nothing else in the project reads the environment. `python -m dev.settings_table` writes
docs/settings.md, and a test keeps the two equal.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from errors import BadSettings, wrong_settings

ROOT = Path(__file__).resolve().parent
VERSION = "0.1.0"

DEMO = dict.fromkeys(("portraits", "max_portraits", "sample_portraits"), 12) | dict.fromkeys(
    ("retention_hours", "undelivered_hours"), 1
)
"""Defaults of a demonstration, where the operator sets nothing else."""


def _is_network(text: str) -> bool:
    try:
        return bool(ip_network(text, strict=False))
    except ValueError:
        return False


_EACH: dict[str, tuple[Callable[[str], object], str]] = {
    "portals": (
        re.compile(r"https?://[^/;,'\" ]+").fullmatch,
        "origin such as https://portal.example",
    ),
    "hosts": (re.compile(r"[A-Za-z0-9_.-]+").fullmatch, "name such as headshots.corp.example"),
    "trusted_proxies": (_is_network, "address or network such as 10.0.0.0/8"),
}
"""Of settings that hold several: what each must be, and how to say so."""


class Settings(BaseSettings):
    """What an operator may set. Every field is documented by its description, with its unit."""

    model_config = SettingsConfigDict(env_prefix="LIKENESS_", frozen=True, extra="ignore")

    host: str = Field("127.0.0.1", min_length=1, description="Address to listen on.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    scratch: Path = Field(
        ROOT / "scratch",
        description="Folder of the encrypted vault and the database; with a GPU also of what jobs "
        "measured on it, which is nothing personal.",
    )
    master_key: str = Field(
        "ram",
        description="`ram` (new at each start: a restart makes everything unreadable) or the path "
        "of a 32-byte key file that only its owner can read, kept away from the vault.",
    )
    receipts: Path = Field(
        ROOT / "receipts",
        description="Folder of the signed log of erasures and its key; not inside the scratch "
        "folder. Keep it: it holds nothing personal.",
    )
    base: str = Field("studio-mini", description="The base model: a folder under `models`.")
    models: Path = Field(ROOT / "models", description="Folder of base models and face models.")
    acknowledge: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Base models, separated by spaces, whose licences do not plainly allow use in "
        "a company, and whose terms you say to meet.",
    )
    styles: Path = Field(ROOT / "styles", description="Folder of the looks (`*.toml`).")
    brand: str = Field(
        "",
        description="Path of a company's brand kit (`brand.toml`): [brand.md](brand.md).",
    )
    retention_hours: float = Field(
        24, gt=0, le=48, description="Hours from delivery until everything is erased."
    )
    undelivered_hours: float = Field(
        48,
        gt=0,
        le=168,
        description="Hours from the first photo until an undelivered job is erased.",
    )
    min_photos: int = Field(4, ge=2, le=20, description="Good photos needed to start.")
    photo_px: int = Field(
        2048,
        ge=768,
        le=4096,
        description="Most pixels on the longer side of what is kept of a photo, head to chest.",
    )
    max_photos: int = Field(30, ge=4, le=100, description="Photos a visitor may keep at once.")
    max_photo_mb: int = Field(20, ge=1, le=100, description="Largest photo file, MB.")
    upload_memory_mb: int = Field(
        256,
        ge=32,
        le=65536,
        description="Uploads in memory at once, all visitors together, MB; half of it for photos "
        "that wait for their cut-out. A session holds a quarter at most, but two large photos.",
    )
    max_photo_megapixels: int = Field(
        65,  # phones of "64 megapixels" have up to 64.5
        ge=1,
        le=200,
        description="Largest photo, megapixels; of a WebP three quarters.",
    )
    portraits: int = Field(100, ge=1, le=500, description="Portraits offered by default.")
    max_portraits: int = Field(200, ge=1, le=1000, description="Most portraits in one job.")
    sample_portraits: int = Field(
        20, ge=1, le=1000, description="Most portraits in one job of the sample photos."
    )
    queue_length: int = Field(
        20,
        ge=1,
        le=1000,
        description="Jobs that may wait at once; three quarters of them from one address, a "
        "quarter of sample photos.",
    )
    starts_per_address: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        description="Sessions that may begin from one address in ten minutes; a company behind one "
        "proxy is one address.",
    )
    entrance: str = Field(
        "open",
        pattern="^(open|invited|portal|oidc)$",
        description="Who may start a session: `open`, everybody who reaches the page; `invited`, "
        "whoever has a link that `python -m web.invite` made; `portal`, whom a trusted proxy "
        "names; `oidc`, whoever signs in at `LIKENESS_OIDC` ([entrance.md](entrance.md)).",
    )
    identity_header: str = Field(
        "X-Forwarded-User",
        pattern="^[A-Za-z0-9-]+$",
        description="With `portal`: the header in which a proxy of `LIKENESS_TRUSTED_PROXIES` says "
        "who a visitor is.",
    )
    sessions_per_person: int = Field(
        3,
        ge=1,
        le=1000,
        description="With `portal` and `oidc`: sessions that one person may start in a day (UTC).",
    )
    oidc: str = Field(
        "",
        description="With `oidc`, and for an admin page by groups: path of a TOML file, readable "
        "by its owner alone, that says where people sign in ([entrance.md](entrance.md)).",
    )
    admin: str = Field(
        "",
        description="Path of a file, readable by its owner alone, with the token that opens "
        "`/admin` and `/metrics`; `python -m web.admin --new-token FILE` makes one. Without it and "
        "without `admin_groups` in `LIKENESS_OIDC` they are not there "
        "([monitoring.md](monitoring.md)).",
    )
    hand_in: str = Field(
        "",
        description="Path of a TOML file, readable by its owner alone, that says to whom visitors "
        "may give portraits, and how a portal gets them back ([hand-in.md](hand-in.md)).",
    )
    cluster: str = Field(
        "",
        description="Path of a TOML file, readable by its owner alone, that says to which cluster "
        "this machine belongs ([cluster.md](cluster.md)). Without it jobs run in this process.",
    )
    operator: str = Field(
        "the people who run this server", min_length=1, description="Who operates this server."
    )
    contact: str = Field(
        "your HR team", min_length=1, description="Whom to tell about misuse: a name or an address."
    )
    https: bool = Field(
        False, description="The visitors' side is HTTPS: cookies become Secure and `__Host-`."
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Names under which visitors reach this server, separated by spaces; addresses "
        "and `localhost` always work. Without any, on plain HTTP only names work that nobody can "
        "buy: without a dot, or ending in `.local`, `.lan`, `.internal`, `.home.arpa`.",
    )
    root_path: str = Field(
        "",
        pattern=r"^((/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+)?$",
        description="Path below which a proxy serves the page, such as `/likeness`.",
    )
    portals: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins that may show the page in a frame, separated by spaces."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Addresses or networks of the proxies before this server, separated by spaces: "
        "only their `X-Forwarded-For` says where a visitor is. Without any, nobody's does.",
    )
    marking: str = Field(
        "offer",
        pattern="^(always|offer)$",
        description="Downloads carry a machine-readable mark that AI made them: `always`, or "
        "`offer`, where the visitor can untick it.",
    )
    c2pa_key: str = Field(
        "",
        description="Path of the key (PEM, P-256, readable by its owner alone) that signs what "
        "downloads say of how they were made (C2PA); `python -m tools.signing_chain FOLDER` makes "
        "one. Without it they say it unsigned.",
    )
    c2pa_sign: str = Field(
        "",
        description="Instead of that key, for one that stays in an HSM: path of a program that "
        "reads a SHA-256 digest (32 bytes) and writes an ECDSA signature over it (DER).",
    )
    c2pa_chain: str = Field(
        "", description="Path of the certificates of that key (PEM), its own first."
    )
    demo: bool = Field(
        False,
        description="A demonstration for everybody: a banner says so, sample photos are offered "
        "first, 12 portraits are a job's most, and everything is erased an hour after delivery. "
        "What is set beside it counts.",
    )
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="debug, info, warning, error."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_a_demonstration(cls, values: dict[str, object]) -> dict[str, object]:
        asked = str(values.get("demo", "")).lower() in ("true", "1", "yes", "on", "t", "y")
        return DEMO | values if asked else values

    @field_validator("portals", "acknowledge", "trusted_proxies", "hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(value.split()) if isinstance(value, str) else value

    @field_validator(*_EACH)
    @classmethod
    def _right(cls, value: tuple[str, ...], field: ValidationInfo) -> tuple[str, ...]:
        right, wanted = _EACH[str(field.field_name)]
        if wrong := next((one for one in value if not right(one)), None):
            raise ValueError(f"{wrong!r} is no {wanted}")
        plain = field.field_name == "hosts"
        return tuple(name.lower().rstrip(".") for name in value) if plain else value

    @field_validator("scratch", "receipts", "models", "styles")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.min_photos > self.max_photos:
            raise ValueError("MIN_PHOTOS is larger than MAX_PHOTOS")
        if self.upload_memory_mb < 2 * self.max_photo_mb:
            raise ValueError("UPLOAD_MEMORY_MB is less than two photos of MAX_PHOTO_MB")
        if self.portraits > self.max_portraits:
            raise ValueError("PORTRAITS is larger than MAX_PORTRAITS")
        if bool(self.c2pa_key) + bool(self.c2pa_sign) != bool(self.c2pa_chain):
            raise ValueError("C2PA_CHAIN goes together with either C2PA_KEY or C2PA_SIGN")
        if self.entrance == "portal" and not self.trusted_proxies:
            raise ValueError("ENTRANCE=portal needs TRUSTED_PROXIES, who say who a visitor is")
        if self.entrance == "oidc" and not self.oidc:
            raise ValueError("ENTRANCE=oidc needs OIDC, the file that says where people sign in")
        if self.receipts.resolve().is_relative_to(self.scratch.resolve()):
            raise ValueError("RECEIPTS lies inside SCRATCH; a copy of the vault would hold its key")
        return self

    @property
    def base_folder(self) -> Path:
        """A bare name is a folder under `models`; anything with a slash is a path."""
        return Path(self.base).absolute() if "/" in self.base else self.models / self.base


def load(**overrides: object) -> Settings:
    """Read the environment, with overrides for tests and the command line.

    Raises:
        BadSettings: one sentence per mistake, each naming the variable.
    """
    unknown = sorted(
        name
        for name in os.environ
        if name.startswith("LIKENESS_")
        and name.removeprefix("LIKENESS_").lower() not in Settings.model_fields
    )
    mistakes = [f"{name} is not a setting; docs/settings.md lists them all." for name in unknown]
    try:
        settings = Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as problem:
        mistakes += wrong_settings(problem.errors())
        raise BadSettings("\n".join(mistakes)) from None
    if mistakes:
        raise BadSettings("\n".join(mistakes))
    return settings

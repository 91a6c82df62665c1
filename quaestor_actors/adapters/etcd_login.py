"""Who we are to etcd, if it wants to know: a user's name and password, from the configuration or the environment.

The password is read whenever it is needed, so it may be changed meanwhile, and it is kept nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from quaestor_actors.core.spec import STORE_PASSWORD_VARIABLE, STORE_USER_VARIABLE, StoreSpec
from quaestor_actors.core.store import StoreDeniedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A user, and where the password is."""

    user: str
    password_file: str | None
    """The password is its first line; None: it is in the environment."""
    environ: Mapping[str, str] = field(repr=False)

    def read_password(self) -> str:
        """Return the password as it is now.

        Raises:
            StoreDeniedError: There is none, or it cannot be read; says what to do.
        """
        if self.password_file is not None:
            return self._read(self.password_file)
        password = self.environ.get(STORE_PASSWORD_VARIABLE)
        if not password:
            raise StoreDeniedError(
                f"there is no password for etcd's user {self.user}: "
                f"set {STORE_PASSWORD_VARIABLE}, or name a password file"
            )
        return password

    def _read(self, file: str) -> str:
        try:
            with Path(file).open(encoding="utf-8") as opened:
                password = opened.readline().rstrip("\r\n")
        except OSError as error:
            raise StoreDeniedError(f"the password file {file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            # Not as the cause: that has what is in the file.
            raise StoreDeniedError(f"the password file {file} is no text in UTF-8") from None
        if not password:
            raise StoreDeniedError(f"the first line of the password file {file} is empty")
        return password


def login(spec: StoreSpec, environ: Mapping[str, str]) -> Login | None:
    """Return who the specification, or else the environment, says that we are; None: nobody, but for a certificate."""
    user = spec.user or environ.get(STORE_USER_VARIABLE)
    return Login(user=user, password_file=spec.password_file, environ=environ) if user else None

"""Who a container runs as, so that files that it makes in the user's folder are the user's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gpuimg.launch.launch import Target
from gpuimg.launch.place import Person, Place
from gpuimg.launch.wishes import Wishes
from gpuimg.model import USER

_ROOT: Final = "0:0"
NAMELESS: Final = (("HOME", "/tmp"), ("USER", USER))
"""For a uid that an image of somebody else doesn't know: a home that can be written to, and a name, which torch.compile
asks for. Images of gpuimg have both."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A user of the container."""

    user: str | None = None
    """None: the image's own."""
    is_person: bool = False
    """Whether what it writes is the person's on the host."""
    user_namespace: str | None = None
    environment: tuple[tuple[str, str], ...] = ()
    notice: str | None = None

    @property
    def is_root(self) -> bool:
        """Whether it is uid 0 in the container, as far as is known."""
        return self.user is not None and self.user.partition(":")[0] in {"0", "root"}


def choose_identity(wishes: Wishes, target: Target, place: Place, person: Person) -> Identity:
    """Give the user: the person's own uid and group 0, for which images of gpuimg are made.

    In a rootless engine that is root; of a remote one the machine's users are nobody's here.
    """
    if wishes.user is not None:
        uid = wishes.user.partition(":")[0]
        return Identity(user=wishes.user, is_person=uid == ("0" if place.rootless else str(person.uid)))
    if not place.local:
        return Identity()
    if place.rootless:
        return Identity(user=_ROOT, is_person=True)
    return Identity(
        user=f"{person.uid}:0",
        is_person=True,
        user_namespace="host" if place.remapped else None,
        environment=NAMELESS if person.uid and not target.is_ours else (),
        notice=None
        if person.uid
        else "root runs gpuimg, so the container runs as root too (--user 1000:0 says otherwise)",
    )

"""Frozen value classes without the price of importing dataclasses.

`@record` turns annotated names into a frozen class with slots, equality, a hash and a repr, as
`@dataclass(frozen=True, slots=True)` would. Importing dataclasses costs 11 ms on the machine where importing this
costs 0.1; a program as small as svstat starts in 12. To a type checker a record is a dataclass.

Not for long-running parts alone: they may use dataclasses, but one way is easier to read than two.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar, dataclass_transform

    Class = TypeVar("Class")

    @dataclass_transform(frozen_default=True, eq_default=True)
    def record(cls: type[Class]) -> type[Class]:
        """Make a frozen value class."""

else:

    def record(cls):
        """Make a frozen value class from the annotations in the body of `cls`."""
        names = tuple(cls.__dict__.get("__annotations__", ()))
        body = {key: value for key, value in cls.__dict__.items() if key not in {*names, "__dict__", "__weakref__"}}
        defaults = {name: cls.__dict__[name] for name in names if name in cls.__dict__}
        # One generated function rather than a loop over names: records are made in accept loops.
        signature = ", ".join(f"{name}=defaults[{name!r}]" if name in defaults else name for name in names)
        lines = [f" put(self, {name!r}, {name})" for name in names]
        if "__post_init__" in body:
            lines.append(" self.__post_init__()")
        made: dict = {}
        exec(  # noqa: S102 - the text is made of the names in the class body alone
            f"def __init__(self, {signature}):\n" + "\n".join(lines or [" pass"]),
            {"put": object.__setattr__, "defaults": defaults},
            made,
        )

        def values(self):
            return tuple(getattr(self, name) for name in names)

        def equal(self, other):
            return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

        def refuse(self, name, *_):
            raise AttributeError(f"cannot change field {name!r} of {type(self).__name__}")

        def show(self):
            return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"

        body.update(
            __slots__=names,
            __init__=made["__init__"],
            __match_args__=names,
            __eq__=equal,
            __hash__=lambda self: hash(values(self)),
            __setattr__=refuse,
            __delattr__=refuse,
            __repr__=show,
            # A frozen class with slots has no other way to be unpickled or copied.
            __reduce__=lambda self: (type(self), values(self)),
        )
        return type(cls)(cls.__name__, cls.__bases__, body)

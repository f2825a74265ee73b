"""Small mistakes that somebody could make in a module: which there are, and how each reads. Pure.

A mistake is one expression or statement replaced by another. It belongs to one owner, a function, a method, a constant or the
default of a dataclass's field: what is made anew to try it. Left out, since a survivor there says nothing of decisions: text,
and whatever stands inside an f-string (golden files watch what is said), annotations, decorators, and members of enumerations.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.mutation.replacements import list_replacements

Function = ast.FunctionDef | ast.AsyncFunctionDef
Owner = Function | ast.Assign | ast.AnnAssign


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """One mistake."""

    module: str
    """Name by which the module is imported."""
    owner: str
    """Qualified name within the module: `pick_subnet`, `Budget.why_not_touch`, `SLOTS_APART`, `Budget.taken`."""
    definition: Owner
    """The owner's statement; to be changed in a process of its own."""
    target: ast.AST
    """The node of it that is replaced …"""
    replacement: ast.AST
    """… and by what."""
    line: int
    before: str
    """The line as it is; of an expression over several lines, the first of them."""
    mutation: str
    """What is replaced by what, in one line."""

    @property
    def place(self) -> str:
        """Where it is, as editors take it."""
        return f"{self.module.replace('.', '/')}.py:{self.line}"


def find_mutants(module: str, path: Path) -> tuple[Mutant, ...]:
    """List every mistake that is tried in a module, in the order of its lines."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [
        Mutant(
            module, name, owner, target, new, _line(target), lines[_line(target) - 1].strip(), _describe(target, new)
        )
        for name, owner in list_owners(path)
        for target, new in _list_mistakes(owner)
    ]
    return tuple(sorted(found, key=lambda mutant: mutant.line))


def list_owners(path: Path) -> Iterator[tuple[str, Owner]]:
    """List what mistakes belong to in a file, by qualified name."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield statement.name, statement
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
                # Constants are written in capitals; the others are aliases of types.
                if name.isupper():
                    yield name, statement
            case ast.ClassDef():
                yield from _list_members(statement)
            case _:
                pass


def _list_members(statement: ast.ClassDef) -> Iterator[tuple[str, Owner]]:
    is_dataclass = any("dataclass" in ast.unparse(each) for each in statement.decorator_list)
    for member in statement.body:
        match member:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield f"{statement.name}.{member.name}", member
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()) if is_dataclass:
                yield f"{statement.name}.{name}", member
            case _:
                pass


def _list_mistakes(owner: Owner) -> Iterator[tuple[ast.AST, ast.AST]]:
    """Go through all that runs: bodies and defaults of functions, values of constants and fields."""
    match owner:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = (*owner.args.defaults, *(each for each in owner.args.kw_defaults if each is not None))
            starts: tuple[ast.AST, ...] = (*defaults, *owner.body)
        case ast.Assign() | ast.AnnAssign():
            starts = () if owner.value is None else (owner.value,)
    for start in starts:
        for node in _walk(start):
            yield from list_replacements(node)


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """Walk in the order of the text, leaving out what is not tried."""
    # Nor what `zip` is to be strict about: that is a check, which only a mistake elsewhere sets off.
    if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.keyword) and node.arg == "strict"):
        return
    yield node
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, ast.AST):
                yield from _walk(child)


def _line(node: ast.AST) -> int:
    line: int = node.lineno  # type: ignore[attr-defined]
    return line


def _describe(target: ast.AST, new: ast.AST) -> str:
    return f"{_show(target)} → {_show(new)}"


def _show(node: ast.AST) -> str:
    """Write a node on one line; compound statements are never replaced as a whole."""
    return " ".join(ast.unparse(node).split())

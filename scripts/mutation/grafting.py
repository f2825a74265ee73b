"""Puts a mistake into modules that are loaded already. For a process that ends after it: nothing is put back.

A function keeps its identity and gets another body, so everybody who imported it by name calls the changed one. A constant is
replaced in every module that has it under its name.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from copy import copy
from types import CodeType, FunctionType, ModuleType
from typing import Any

from scripts.mutation.mutants import Function, Mutant, Owner

TELL = "__tell_of_a_call__"


class DoesNotLoad(Exception):
    """Python refuses the module with this mistake in it, so nobody needs a test for that."""


def graft(mutant: Mutant) -> None:
    """Make the mistake in this process. Raises DoesNotLoad if it could not even be imported."""
    module = sys.modules[mutant.module]
    try:
        made = _make_anew(mutant, module)
    except Exception as error:
        raise DoesNotLoad(str(error)) from error
    if isinstance(mutant.definition, Function):
        _change_function(find_function(module, mutant.owner), made)
    elif "." in mutant.owner:
        _change_field(module, mutant.owner, made)
    else:
        _change_constant(module, mutant.owner, made)


def make_telling(module: ModuleType, definition: Function, name: str, tell: Callable[[str], None]) -> CodeType:
    """Return the code of a function that tells its name whenever it is called, and else does what it did."""
    vars(module)[TELL] = tell
    first = ast.Expr(ast.Call(ast.Name(TELL, ast.Load()), [ast.Constant(name)], []))
    told = copy(definition)
    told.body = [first, *definition.body]
    made: FunctionType = _run(told, module)[definition.name]
    return made.__code__


class _Replace(ast.NodeTransformer):
    def __init__(self, target: ast.AST, replacement: ast.AST) -> None:
        self._target, self._replacement = target, replacement

    def visit(self, node: ast.AST) -> ast.AST:
        """Put the replacement where the target is; what it took over from the target is not visited again."""
        changed: ast.AST = self._replacement if node is self._target else self.generic_visit(node)
        return changed


def _make_anew(mutant: Mutant, module: ModuleType) -> Any:  # noqa: ANN401 - whatever is defined there
    """Run the changed statement among the module's names, and return what it makes."""
    _Replace(mutant.target, mutant.replacement).visit(mutant.definition)
    return _run(mutant.definition, module)[mutant.owner.rpartition(".")[2]]


def _run(statement: Owner, module: ModuleType) -> dict[str, Any]:
    """Return the module's names, after a statement that would belong to it."""
    if isinstance(statement, Function):
        statement = copy(statement)
        statement.decorator_list = []
    future = ast.ImportFrom("__future__", [ast.alias("annotations")], 0)
    tree = ast.fix_missing_locations(ast.Module([future, statement], []))
    names = dict(vars(module))
    exec(compile(tree, module.__file__ or "", "exec"), names)  # noqa: S102 - our own source
    return names


def find_function(module: ModuleType, owner: str) -> FunctionType:
    """Find the function itself, below whatever wraps it."""
    *classes, name = owner.split(".")
    found: Any = module
    for each in classes:
        found = getattr(found, each)
    found = inspect.getattr_static(found, name)
    while not isinstance(found, FunctionType):
        inner = (getattr(found, each, None) for each in ("fget", "__func__", "__wrapped__"))
        found = next(each for each in inner if each is not None)
    unwrapped: FunctionType = inspect.unwrap(found)
    return unwrapped


def _change_function(function: FunctionType, made: FunctionType) -> None:
    function.__code__ = made.__code__
    function.__defaults__ = made.__defaults__
    function.__kwdefaults__ = made.__kwdefaults__


def _change_constant(module: ModuleType, name: str, made: object) -> None:
    old = vars(module)[name]
    for other in list(sys.modules.values()):
        names = getattr(other, "__dict__", {})
        if name in names and names[name] is old:
            names[name] = made


def _change_field(module: ModuleType, owner: str, made: object) -> None:
    """Change the default that a dataclass's __init__ has for a field; one made by a factory is not reached."""
    of_class, name = owner.split(".")
    init = getattr(module, of_class).__init__
    with_default = [each for each in inspect.signature(init).parameters.values() if each.default is not each.empty]
    init.__defaults__ = tuple(made if each.name == name else each.default for each in with_default)

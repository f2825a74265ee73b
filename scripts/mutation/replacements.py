"""What is tried at one place of the source: a list of mistakes that people make, and that a test should notice. Pure.

Each is (what stands there, what is put there instead). Chosen so that few are equivalent: numbers of two and less grow by one,
larger ones double, since hardly anything depends on the last digit of a policy.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

Replacement = tuple[ast.AST, ast.AST]

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
KEYWORDS_DROPPED = ("sorted", "min", "max", "replace")
SMALL = 2


def list_replacements(node: ast.AST) -> Iterator[Replacement]:
    """List what is tried at this very node; what is inside it comes with its own turn."""
    match node:
        case ast.expr():
            yield from _of_expressions(node)
        case ast.stmt():
            yield from _of_statements(node)
        case ast.comprehension(ifs=ifs):
            yield from ((each, ast.Constant(value=True)) for each in ifs)
            yield from _negations(*ifs)
        case ast.match_case(guard=ast.expr() as guard):
            yield guard, ast.Constant(value=True)
        case _:
            pass


def _of_expressions(node: ast.expr) -> Iterator[Replacement]:
    match node:
        case ast.Compare(left, operators, others):
            for place, operator in enumerate(operators):
                changed = [*operators[:place], COMPARISONS[type(operator)](), *operators[place + 1 :]]
                yield node, ast.Compare(left, changed, others)
        case ast.BoolOp(operator, values):
            yield node, ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            yield from ((node, _without(node, place)) for place in range(len(values)))
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield node, operand
        case ast.BinOp(left, operator, right) if type(operator) in ARITHMETIC:
            yield node, ast.BinOp(left, ARITHMETIC[type(operator)](), right)
        case ast.Constant(bool() as value):
            yield node, ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            yield node, ast.Constant(value + 1 if value <= SMALL else value * 2)
        case ast.IfExp(test, body, otherwise):
            yield node, ast.IfExp(test, otherwise, body)
        case ast.Call():
            yield from _of_calls(node)
        case _:
            pass


def _of_calls(node: ast.Call) -> Iterator[Replacement]:
    match node.func:
        case ast.Name(id=name) if name in NAMES:
            yield node, ast.Call(ast.Name(NAMES[name], ast.Load()), node.args, node.keywords)
        case ast.Name(id="sorted"):
            yield node, ast.Call(ast.Name("list", ast.Load()), node.args, [])
        case _:
            pass
    if isinstance(node.func, ast.Name) and node.func.id in KEYWORDS_DROPPED:
        for keyword in node.keywords:
            yield node, ast.Call(node.func, node.args, [each for each in node.keywords if each is not keyword])


def _of_statements(node: ast.stmt) -> Iterator[Replacement]:
    match node:
        case ast.Return(ast.expr() as value) if not isinstance(value, ast.Constant):
            yield node, ast.Return(ast.Constant(None))
        case ast.Expr(ast.Call() | ast.Yield() | ast.YieldFrom() | ast.Await()):
            yield node, ast.Pass()
        case ast.AugAssign() | ast.Raise() | ast.Delete():  # an assert is for the types
            yield node, ast.Pass()
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]):
            yield node, ast.Pass()
        case ast.Continue():
            yield node, ast.Break()
        case ast.Break():
            yield node, ast.Continue()
        case ast.If(test=test) | ast.While(test=test):
            yield from _negations(test)
        case _:
            pass


def _negations(*conditions: ast.expr) -> Iterator[Replacement]:
    """Turn round a condition that no other mistake turns round."""
    for condition in conditions:
        if not isinstance(condition, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            yield condition, ast.UnaryOp(ast.Not(), condition)


def _without(node: ast.BoolOp, place: int) -> ast.expr:
    values = [*node.values[:place], *node.values[place + 1 :]]
    return values[0] if len(values) == 1 else ast.BoolOp(node.op, values)

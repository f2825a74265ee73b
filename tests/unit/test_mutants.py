"""The tool that tries the tests by making mistakes: which mistakes it makes, and that it makes them where everybody meets them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from scripts.mutation.explained import key_of, read_explained, write_entry
from scripts.mutation.grafting import DoesNotLoad, graft
from scripts.mutation.mutants import find_mutants
from scripts.mutation.recording import Recorder, Recording, choose_tests

MODULE = "made_for_mutation"
SOURCE = '''
"""A module."""
from dataclasses import dataclass
from functools import lru_cache

MOST = 3
Alias = int | None
_spare = 1


@dataclass(frozen=True, slots=True)
class Box:
    """A box."""

    height: int
    width: int = 2

    @property
    def is_flat(self) -> bool:
        return self.width > self.height


def may_go(count: int, wanted: bool = True) -> bool:
    return wanted and count < MOST


@lru_cache
def double(number: int) -> int:
    return number * 2


def tell(names: list[str]) -> str:
    return f"{len(names) + 1} names"


def pick(numbers: list[int]) -> list[int]:
    return sorted((each for each in numbers if each), reverse=True)
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of its own for each test, as if it had been imported."""
    path = tmp_path / f"{MODULE}.py"
    path.write_text(SOURCE, encoding="utf-8")
    made = ModuleType(MODULE)
    made.__file__ = str(path)
    monkeypatch.setitem(sys.modules, MODULE, made)
    exec(compile(SOURCE, str(path), "exec"), vars(made))
    return made


def mistakes(module, owner=None):
    return [each for each in find_mutants(MODULE, Path(module.__file__)) if owner in (None, each.owner)]


def make(module, owner, mutation):
    (mutant,) = [each for each in mistakes(module, owner) if each.mutation == mutation]
    graft(mutant)
    return mutant


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("MOST", ["3 → 6"]),
        ("Box.width", ["2 → 3"]),
        (
            "Box.is_flat",
            ["return self.width > self.height → return None", "self.width > self.height → self.width >= self.height"],
        ),
        (
            "may_go",
            [
                "True → False",
                "count < MOST → count <= MOST",
                "return wanted and count < MOST → return None",
                "wanted and count < MOST → count < MOST",
                "wanted and count < MOST → wanted",
                "wanted and count < MOST → wanted or count < MOST",
            ],
        ),
        # What is inside of text is left to golden files.
        ("tell", ["return f'{len(names) + 1} names' → return None"]),
    ],
)
def test_each_owner_gets_its_mistakes(module, owner, expected):
    assert sorted(each.mutation for each in mistakes(module, owner)) == expected


def test_aliases_private_names_and_annotations_are_left_alone(module):
    assert {each.owner for each in mistakes(module)} == {
        "MOST",
        "Box.width",
        "Box.is_flat",
        "may_go",
        "double",
        "tell",
        "pick",
    }


def test_a_place_and_its_line_are_named(module):
    mutant = next(each for each in mistakes(module, "may_go") if "<=" in each.mutation)
    assert mutant.place == f"{MODULE}.py:{SOURCE.splitlines().index('    return wanted and count < MOST') + 1}"
    assert mutant.before == "return wanted and count < MOST"


def test_whoever_imported_a_function_by_name_meets_the_mistake(module):
    known = module.may_go
    make(module, "may_go", "count < MOST → count <= MOST")
    assert known(3)


def test_a_default_is_changed_with_its_function(module):
    make(module, "may_go", "True → False")
    assert not module.may_go(1)


def test_properties_and_functions_behind_a_cache_are_reached(module):
    make(module, "Box.is_flat", "self.width > self.height → self.width >= self.height")
    make(module, "double", "number * 2 → number // 2")
    assert (module.Box(2).is_flat, module.double(8)) == (True, 4)


def test_a_constant_is_changed_wherever_it_was_imported(module, monkeypatch):
    other = ModuleType("another_made_for_mutation")
    other.MOST = module.MOST
    monkeypatch.setitem(sys.modules, other.__name__, other)
    make(module, "MOST", "3 → 6")
    assert (module.MOST, other.MOST, module.may_go(5)) == (6, 6, True)


def test_the_default_of_a_field_is_changed(module):
    make(module, "Box.width", "2 → 3")
    assert (module.Box(1).width, module.Box(1, 9).width) == (3, 9)


def test_conditions_of_comprehensions_and_keywords_are_dropped(module):
    make(module, "pick", "each → True")
    assert module.pick([0, 2, 1]) == [2, 1, 0]
    again = "sorted((each for each in numbers if each), reverse=True) → sorted((each for each in numbers if each))"
    assert again in [each.mutation for each in mistakes(module, "pick")]


def test_what_python_refuses_does_not_load(module):
    mutant = mistakes(module, "MOST")[0]
    vars(module).pop("MOST")
    mutant.definition.value = None
    with pytest.raises(DoesNotLoad):
        graft(mutant)


def test_a_test_is_recorded_with_the_functions_that_it_calls_until_the_end(module):
    recorder = Recorder([module])
    with recorder.listen() as told:
        module.may_go(1)
        module.Box(1).is_flat  # noqa: B018
    recorder.stop()
    assert told().called == {f"{MODULE}:may_go", f"{MODULE}:Box.is_flat"}
    module.double(1)
    assert f"{MODULE}:double" not in told().called


def recorded(*tests):
    return {
        place: Recording(frozenset(f"{MODULE}:{name}" for name in called), cost)
        for place, (called, cost) in enumerate(tests)
    }


def test_tests_that_come_across_a_mistake_go_cheapest_first_after_those_that_found_another(module):
    recordings = recorded((["may_go"], 3.0), (["double"], 0.1), (["may_go"], 1.0), (["may_go"], 2.0))
    mutant = mistakes(module, "may_go")[0]
    assert choose_tests(mutant, recordings, (), 60.0) == (2, 3, 0)
    assert choose_tests(mutant, recordings, (1, 2, 0), 60.0) == (0, 2, 3)


def test_patience_ends_the_list_and_leaves_one(module):
    recordings = recorded((["may_go"], 3.0), (["may_go"], 5.0))
    mutant = mistakes(module, "may_go")[0]
    assert choose_tests(mutant, recordings, (), 4.0) == (0,)
    assert choose_tests(mutant, recordings, (), 0.1) == (0,)


def test_a_constant_is_tried_with_whoever_calls_into_a_module_that_knows_it(module):
    recordings = recorded((["double"], 1.0), ([], 1.0))
    assert choose_tests(mistakes(module, "MOST")[0], recordings, (), 60.0) == (0,)


def test_an_entry_explains_the_mistake_that_it_was_written_for(module, tmp_path):
    mutant, other = mistakes(module, "may_go")[:2]
    path = tmp_path / "explained.toml"
    path.write_text(write_entry(mutant).replace('why = ""', 'why = "because"'), encoding="utf-8")
    explained = read_explained(path)
    assert explained == {key_of(mutant): "because"}
    assert key_of(other) not in explained


@pytest.mark.parametrize(("times", "why", "fault"), [(1, " ", "says no reason"), (2, "because", "is there twice")])
def test_an_entry_without_a_reason_or_twice_is_refused(module, tmp_path, times, why, fault):
    path = tmp_path / "explained.toml"
    entry = write_entry(mistakes(module, "may_go")[0]).replace('why = ""', f'why = "{why}"')
    path.write_text("\n".join([entry] * times), encoding="utf-8")
    with pytest.raises(ValueError, match=fault):
        read_explained(path)


def test_nothing_is_explained_without_a_file(tmp_path):
    assert read_explained(tmp_path / "none.toml") == {}

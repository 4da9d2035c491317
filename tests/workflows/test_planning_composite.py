"""Local composite actions: their inputs, and the steps a runner gets."""

from __future__ import annotations

import pytest

from opsroom.kernel.errors import Problems
from opsroom.workflows.composite import MAX_DEPTH, BadAction, action_files, expand_composite, inner_contexts
from opsroom.workflows.syntax import Action, read_action

GREET = """
name: Greet
inputs:
  who: {default: World}
  greeting: {default: 'Hello from ${{ github.repository }}'}
  loud: {required: true}
outputs: {text: {value: '${{ steps.say.outputs.text }}'}}
runs:
  using: composite
  steps:
    - {id: say, run: 'echo ${{ inputs.who }}', shell: bash, if: 'inputs.loud', working-directory: src}
    - {uses: ./other, with: {who: '${{ inputs.who }}'}}
"""
CONTEXTS = {
    "github": {"repository": "shop/storefront"},
    "matrix": {"v": 1},
    "secrets": {"T": "s"},
    "needs": {},
    "env": {},
}


def action(text: str = GREET) -> Action:
    found, problems = read_action(text, "greet/action.yml")
    assert problems == []
    assert found is not None
    return found


def test_a_step_is_unfolded() -> None:
    step = {
        "id": "greet",
        "uses": "./greet",
        "with": {"WHO": "v${{ matrix.v }} ${{ secrets.T }}", "wo": "x"},
        "place": "w.yml:5:9",
    }
    found = expand_composite(step, action(), CONTEXTS)
    composite = found["composite"]
    assert (found["id"], found["uses"], found["place"]) == ("greet", "./greet", "w.yml:5:9")
    assert composite["inputs"] == {"who": "v1 s", "greeting": "Hello from shop/storefront", "loud": ""}
    assert composite["outputs"] == {"text": "${{ steps.say.outputs.text }}"}
    assert composite["steps"][0] == {
        "id": "say",
        "run": "echo ${{ inputs.who }}",
        "shell": "bash",
        "if": "inputs.loud",
        "working-directory": "src",
        "place": "greet/action.yml:11:7",
    }
    assert composite["steps"][1]["uses"] == "./other"
    assert composite["warnings"] == [
        "greet/action.yml has no input 'wo'; did you mean 'who'?",
        "input 'loud' of greet/action.yml is required and was not given",
    ]


def test_the_inner_scope_has_its_own_inputs_and_no_secrets() -> None:
    inner = inner_contexts({**CONTEXTS, "steps": {"a": {}}}, {"who": "x"})
    assert inner["inputs"] == {"who": "x"}
    assert inner["steps"] == {}
    assert not {"secrets", "needs"} & set(inner)


def test_what_cannot_be_used_is_refused() -> None:
    with pytest.raises(BadAction, match="does it use itself"):
        expand_composite({"uses": "./greet"}, action(), CONTEXTS, depth=MAX_DEPTH + 1)
    with pytest.raises(Problems, match="node20 are not run"):
        expand_composite({"uses": "./x"}, action("name: x\nruns: {using: node20, main: a.js}"), CONTEXTS)
    with pytest.raises(BadAction, match="leaves the workspace"):
        action_files("./../elsewhere")
    assert action_files("./.github/actions/greet") == (
        ".github/actions/greet/action.yml",
        ".github/actions/greet/action.yaml",
    )

"""Reads workflow files and local actions: text in, a value or every problem with its place out."""

from opsroom.workflows.syntax.actions import Action, ActionInput, read_action
from opsroom.workflows.syntax.workflow import read_workflow

__all__ = ["Action", "ActionInput", "read_action", "read_workflow"]

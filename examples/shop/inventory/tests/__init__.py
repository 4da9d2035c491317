"""Tests of inventory, for unittest."""

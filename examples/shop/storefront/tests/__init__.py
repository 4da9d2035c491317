"""Tests of the storefront, for unittest."""

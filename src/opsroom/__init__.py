"""Opsroom: a self-hosted control plane for the eleven things a DevOps team answers for."""

__version__ = "0.1.0"

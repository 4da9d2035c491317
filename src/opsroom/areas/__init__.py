"""The eleven areas a DevOps team answers for, one folder each; no area imports another."""

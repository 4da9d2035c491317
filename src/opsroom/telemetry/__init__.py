"""Metrics and logs: one store in a supervised child process, PromQL over whole matrices, log search, scraping and rules."""

"""Rows of trainings and probes, compared: plan, rows, findings, report."""

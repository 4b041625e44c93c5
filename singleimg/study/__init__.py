"""The paper's claim on real data: rows of trainings and probes, one table, one figure, findings."""
